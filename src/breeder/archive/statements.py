"""The store's longer SQL statements, with columns in the order of `rows`."""

from __future__ import annotations

from breeder.archive import rows


def _insert(table: str, columns: str, *, verb: str = "INSERT", after: str = "") -> str:
    marks = rows.placeholders(columns)
    return f"{verb} INTO {table} ({columns}) VALUES ({marks}){after}"


INSERT_RUN = _insert("run", f"id, {rows.RUN_COLUMNS}")
INSERT_PROGRAM = _insert("program", rows.PROGRAM_COLUMNS, after=" ON CONFLICT (id) DO NOTHING")
INSERT_EVALUATION = _insert("evaluation", rows.EVALUATION_COLUMNS)
WRITE_BASELINE = _insert("baseline", rows.BASELINE_COLUMNS, verb="INSERT OR REPLACE")
WRITE_CHALLENGE = _insert("challenge", rows.CHALLENGE_COLUMNS, verb="INSERT OR REPLACE")

SELECT_EVALUATION = f"SELECT id, {rows.EVALUATION_COLUMNS} FROM evaluation"
SELECT_HEATS = (
    f"{SELECT_EVALUATION} WHERE split = 'confirm' AND id > ?1 AND program_id ="
    " (SELECT program_id FROM evaluation WHERE id = ?1) ORDER BY id"
)
SELECT_CHALLENGES = f"SELECT {rows.CHALLENGE_COLUMNS} FROM challenge ORDER BY number"
SELECT_CONFIRMED = (
    f"SELECT {rows.CHALLENGE_COLUMNS} FROM challenge WHERE outcome = 'confirmed'"
    " ORDER BY decided DESC LIMIT 1"
)
SELECT_PLACED = (
    "SELECT e.id, e.program_id, p.size, e.island, e.fitness, e.metrics_json, e.intervals_json"
    " FROM evaluation e JOIN program p ON p.id = e.program_id"
    " WHERE e.split = 'search' AND e.fitness IS NOT NULL AND e.island >= 0 ORDER BY e.id"
)
