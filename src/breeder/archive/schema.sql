-- The store of one run: a public, versioned format. PRAGMA user_version holds the version.
-- Times are seconds; `elapsed` counts the run's own time (pauses between stop and resume excluded).

CREATE TABLE run (                     -- exactly one row
  id                INTEGER PRIMARY KEY CHECK (id = 1),
  breeder_version   TEXT NOT NULL,     -- version that created the run
  task_name         TEXT NOT NULL,
  task_kind         TEXT NOT NULL,     -- breeder | openevolve | shinka
  task_folder       TEXT NOT NULL,     -- absolute path at the time of the run
  task_digest       TEXT NOT NULL,     -- SHA-256 of task.toml, evaluator, initial and support files
  task_json         TEXT NOT NULL,     -- the validated task.toml as JSON
  config_json       TEXT NOT NULL,     -- the validated run configuration as JSON, without secrets
  sandbox           TEXT NOT NULL,     -- bubblewrap | none
  trusted           INTEGER NOT NULL,  -- 0: metrics are self-reported
  machine_json      TEXT NOT NULL,     -- what the run ran on
  started_at        TEXT NOT NULL,     -- ISO 8601, UTC
  finished_at       TEXT,              -- ISO 8601, UTC; NULL while running
  status            TEXT NOT NULL,     -- running | finished | stopped | failed
  detail            TEXT NOT NULL DEFAULT '',  -- why it ended, one line
  elapsed           REAL NOT NULL DEFAULT 0,   -- wall seconds over all sittings
  engine_cpu        REAL NOT NULL DEFAULT 0    -- CPU seconds of the engine's own process
);

CREATE TABLE program (                 -- in order of arrival
  id                TEXT PRIMARY KEY NOT NULL,  -- content hash of the files
  files_json        TEXT NOT NULL,     -- {path: text} of every evolved file
  parents_json      TEXT NOT NULL,     -- [id, ...], main parent first; [] for the start
  proposer          TEXT NOT NULL,
  note              TEXT NOT NULL,     -- one line on what was changed
  fingerprint       TEXT NOT NULL,     -- hash of the normalised syntax trees
  size              INTEGER NOT NULL,  -- syntax-tree nodes in the evolvable regions
  generation        INTEGER NOT NULL   -- steps from the start along main parents
);

CREATE TABLE evaluation (              -- committed before it is used; order of id = order of use
  id                INTEGER PRIMARY KEY,
  program_id        TEXT NOT NULL REFERENCES program (id),
  split             TEXT NOT NULL,     -- search | held_out | confirm (a heat, see challenge)
  draw              INTEGER NOT NULL,  -- index of the draw it came from; -1 for start and held-out
  island            INTEGER NOT NULL,  -- island it was offered to; -1 when it was not
  fitness           REAL,              -- signed so that higher is better; NULL on failure
  metrics_json      TEXT NOT NULL,     -- {name: finite number}
  failure_kind      TEXT,              -- see core.FailureKind; NULL on success
  failure_detail    TEXT NOT NULL DEFAULT '',
  failure_stage     TEXT NOT NULL DEFAULT '',
  stage             TEXT NOT NULL,     -- last stage that was run
  stages_run        INTEGER NOT NULL,
  artifacts_json    TEXT NOT NULL,     -- {name: text}
  construction      BLOB,              -- MessagePack; the artefact that earned the metrics
  trusted           INTEGER NOT NULL,
  seed              INTEGER NOT NULL,
  cpu_seconds       REAL NOT NULL,
  wall_seconds      REAL NOT NULL,
  tokens            INTEGER NOT NULL,
  currency          REAL NOT NULL,
  placement         TEXT NOT NULL,     -- rejected | improved | new
  gain              REAL NOT NULL,     -- rise of the best fitness that it brought
  elapsed           REAL NOT NULL,     -- run time at which it was committed
  intervals_json    TEXT NOT NULL DEFAULT '{}'  -- {name: [low, high]}, 95 %, of measured metrics
);
CREATE INDEX evaluation_program ON evaluation (program_id);
CREATE INDEX evaluation_split ON evaluation (split, fitness);

CREATE TABLE challenge (               -- measured tasks: who raced for champion, and the outcome
  number            INTEGER PRIMARY KEY,  -- 0: the start, whose value is the first to beat; 1, 2, ...
  evaluation        INTEGER NOT NULL REFERENCES evaluation (id),  -- on search, by which it challenged
  outcome           TEXT NOT NULL,     -- open | confirmed | refuted | lapsed (earlier versions)
  against           REAL,              -- the metric's confirmed value that it raced against
  value             REAL,              -- the metric pooled over its heats alone; NULL until decided,
                                       -- and where a heat failed
  low               REAL,              -- 95 % interval of value
  high              REAL,
  heats             INTEGER NOT NULL,  -- heats that decided: its evaluations with split = confirm
  decided           INTEGER,           -- id of the last one: the archive was corrected after it
  elapsed           REAL NOT NULL      -- run time at which it was opened, then decided
);

CREATE TABLE discard (                 -- proposals that cost no evaluation, counted
  proposer          TEXT NOT NULL,
  reason            TEXT NOT NULL,     -- duplicate | unchanged | frozen | large | encoding | none
  count             INTEGER NOT NULL,
  PRIMARY KEY (proposer, reason)
) WITHOUT ROWID;

CREATE TABLE baseline (                -- what a plain method reaches, beside the champion
  name              TEXT NOT NULL,
  kind              TEXT NOT NULL,     -- task (stated by evaluate.py) | matched (same CPU time)
  split             TEXT NOT NULL,     -- search | held_out
  metrics_json      TEXT NOT NULL,
  fitness           REAL,
  cpu_seconds       REAL NOT NULL,     -- spent by a matched baseline; 0 for the task's own
  evaluations       INTEGER NOT NULL,
  PRIMARY KEY (name, kind, split)
) WITHOUT ROWID;

CREATE TABLE state (                   -- what proposers and the engine need to go on
  key               TEXT PRIMARY KEY,
  value             BLOB NOT NULL
) WITHOUT ROWID;
