from pathlib import Path

import pytest

from breeder.config import RunConfig
from breeder.errors import ConfigError, UserError
from breeder.foreign_models import task_models, with_task_models
from breeder.proposers.llm.settings import ModelConfig
from breeder.task_formats import load

SECRET = "sk-proj-0123456789abcdef"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "LOCAL_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def openevolve(folder: Path, config: str) -> Path:
    (folder / "initial_program.py").write_text("x = 1\n")
    (folder / "evaluator.py").write_text("def evaluate(path):\n    return {'combined_score': 1}\n")
    (folder / "config.yaml").write_text(config)
    return folder


def shinka(folder: Path, name: str, settings: str) -> Path:
    (folder / "initial.py").write_text("x = 1\n")
    (folder / "evaluate.py").write_text("print(1)\n")
    (folder / name).write_text(settings)
    return folder


def models(folder: Path) -> dict[str, ModelConfig]:
    return {one.name: one for one in task_models(load(folder))}


def test_models_of_openevolve_with_what_they_share(tmp_path: Path) -> None:
    found = models(
        openevolve(
            tmp_path,
            """
llm:
  api_base: https://models.example/v1/
  api_key: ${THEIR_KEY}
  temperature: 0.7
  max_tokens: 8192
  timeout: 90
  retries: 2
  models:
    - {name: vendor/small-1, weight: 0.8}
    - {name: big-2, weight: 0.2, temperature: 1.0, reasoning_effort: high}
    - {name: never, weight: 0}
  evaluator_models: [{name: judge}]
prompt:
  system_message: Do it.
""",
        )
    )
    assert list(found) == ["vendor-small-1", "big-2"]
    small, big = found.values()
    assert (small.id, small.endpoint) == ("vendor/small-1", "https://models.example/v1")
    assert (small.key_env, small.temperature, small.max_tokens) == ("THEIR_KEY", 0.7, 8192)
    assert (small.timeout, small.attempts, small.extra) == (90, 3, {})
    assert (big.temperature, big.extra) == (1.0, {"reasoning_effort": "high"})
    assert load(tmp_path).file.task.goal == "Do it."


def test_primary_and_secondary_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "llm: {primary_model: a, secondary_model: b, secondary_model_weight: 0}"
    folder = openevolve(tmp_path, text)
    with pytest.raises(UserError, match=r"llm\.api_base: is missing"):
        task_models(load(folder))
    monkeypatch.setenv("OPENAI_BASE_URL", "https://models.example/v1")
    (one,) = task_models(load(folder))
    assert (one.name, one.key_env) == ("a", "OPENAI_API_KEY")


def test_a_key_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    folder = openevolve(
        tmp_path,
        f"llm: {{primary_model: a, api_base: 'https://models.example/v1', api_key: {SECRET}}}",
    )
    with pytest.raises(UserError, match=r"llm\.api_key: holds a key; put the key into") as caught:
        task_models(load(folder))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("key", ["none", "EMPTY", "''", "dummy"])
def test_a_placeholder_is_no_key(tmp_path: Path, key: str) -> None:
    folder = openevolve(
        tmp_path, f"llm: {{primary_model: a, api_base: 'http://[::1]:8000/v1', api_key: {key}}}"
    )
    assert models(folder)["a"].key_env == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("llm: {models: 3}", "llm.models: is not a list"),
        ("llm: {models: [{weight: 1}]}", "a model has no name"),
        ("llm: {primary_model: a, provider: claude_code}", "'claude_code' is not supported"),
        ("llm: {}", "names no language model"),
        ("max_iterations: 3", "names no language model"),
        (
            "llm: {primary_model: a, api_base: 'http://[::1]/v1', max_tokens: many}",
            "model 'a': max_tokens",
        ),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        task_models(load(openevolve(tmp_path, text)))
    assert "\n" not in str(caught.value)


def test_models_of_a_script_of_shinka_which_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shinka(
        tmp_path,
        "run_evo.py",
        """
raise SystemExit("was run")
evo_config = EvolutionConfig(
    llm_models=["local/qwen/coder@http://127.0.0.1:8000/v1?api_key_env=QWEN_KEY", "gpt-x"],
    llm_kwargs=dict(temperatures=[0.0, 0.5, 1.0], max_tokens=16384, reasoning_efforts=["auto"]),
)
""",
    )
    with pytest.raises(UserError, match="'gpt-x' does not say where it is"):
        task_models(load(folder))
    monkeypatch.setenv("OPENAI_BASE_URL", "https://models.example/v1")
    found = models(folder)
    local = found["qwen-coder"]
    assert (local.id, local.endpoint) == ("qwen/coder", "http://127.0.0.1:8000/v1")
    assert (local.key_env, local.temperature, local.max_tokens) == ("QWEN_KEY", 0.5, 16384)
    assert found["gpt-x"].key_env == "OPENAI_API_KEY"


def test_models_of_a_yaml_file_of_shinka(tmp_path: Path) -> None:
    folder = shinka(
        tmp_path,
        "shinka_small.yaml",
        "evo_config:\n  llm_models: ['local/m@http://127.0.0.1:1/v1', 'local/m@http://[::1]/v1']\n",
    )
    assert list(models(folder)) == ["m", "m-2"]


def test_they_propose_only_when_asked_for(tmp_path: Path) -> None:
    folder = openevolve(tmp_path, "llm: {primary_model: a, api_base: 'http://[::1]:8000/v1'}")
    task = load(folder)
    assert with_task_models(RunConfig(), task, []) == (RunConfig(), [])
    config, specs = with_task_models(RunConfig(), task, ["local", "task"])
    assert [one.name for one in config.model] == ["a"]
    assert specs == ["local", "a"]
    with pytest.raises(ConfigError, match="'a' is among the"):
        with_task_models(config, task, ["task"])


def test_a_task_of_our_own_names_none() -> None:
    with pytest.raises(ConfigError, match="is for folders of OpenEvolve and ShinkaEvolve"):
        with_task_models(RunConfig(), load("maths/circle_packing"), ["task"])
