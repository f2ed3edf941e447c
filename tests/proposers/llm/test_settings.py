from pathlib import Path

import pytest

from breeder.config import RunConfig, load_config, model_entry
from breeder.errors import ConfigError
from breeder.proposers.llm.model import Usage
from breeder.proposers.llm.settings import ModelConfig, Prices

CANARY = "sk-canary-0011223344556677"
LOCAL = 'endpoint = "http://127.0.0.1:8080/v1"'


def load(folder: Path, text: str) -> RunConfig:
    file = folder / "breeder.toml"
    file.write_text(text)
    return load_config(file, {})


def test_entries_are_read_and_come_back_from_the_store(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        f'[[model]]\nname = "fast"\n{LOCAL}\nrole = "fast"\n'
        '[[model]]\nname = "deep"\nmodel = "org/deep"\nendpoint = "https://models.invalid/v1/"\n'
        'key_env = "DEEP_KEY"\n[model.prices]\nprompt = 2\nanswer = 8\n'
        '[model.extra]\nreasoning_effort = "high"\n',
    )
    fast, deep = config.model
    assert (fast.id, fast.role, fast.loopback) == ("fast", "fast", True)
    assert (deep.id, deep.endpoint, deep.loopback) == (
        "org/deep",
        "https://models.invalid/v1",
        False,
    )
    assert deep.prices == Prices(prompt=2, answer=8)
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "model 'm': endpoint: is missing"),
        ('endpont = "x"', "model 'm': endpont: unknown key; did you mean 'endpoint'?"),
        ('endpoint = "models.invalid"', "model 'm': endpoint: must be an address like http://"),
        ('endpoint = "http://127.0.0.1:port/v1"', "model 'm': endpoint: must be an address"),
        (f'endpoint = "http://u:{CANARY}@h/v1"', "model 'm': endpoint: must hold no user name"),
        (f'endpoint = "http://h/v1?key={CANARY}"', "model 'm': endpoint: must hold no user name"),
        ('endpoint = "https://models.invalid"', "model 'm': key_env: name the environment variab"),
        (f'{LOCAL}\nkey_env = "{CANARY}"', "model 'm': key_env: must be the NAME of an environm"),
        (f'{LOCAL}\nkey_env = "AIzaSyCanary"', "model 'm': key_env: must be the NAME of an envi"),
        (f'{LOCAL}\napi_key = "{CANARY}"', "model 'm': api_key: a key is never written down"),
        (f'{LOCAL}\nextra = {{ token = "{CANARY}" }}', "model 'm': token: a key is never writ"),
        (f"{LOCAL}\nextra = {{ day = 2026-01-01 }}", "model 'm': extra: must hold what JSON can"),
        (f'{LOCAL}\nrole = "slow"', "model 'm': role: must be 'fast', 'deep' or ''"),
        (f"{LOCAL}\nprices = {{ prompt = 1, anser = 2 }}", "prices.anser: unknown key; did you"),
        (f"{LOCAL}\nprices = {{ prompt = -1, answer = 2 }}", "prices.prompt: must be greater"),
        (f"{LOCAL}\ntimeout = 0", "model 'm': timeout: must be greater than 0"),
        (f"{LOCAL}\nconcurrency = 0", "model 'm': concurrency: must be greater"),
    ],
)
def test_mistakes_name_the_model_and_show_no_key(tmp_path: Path, lines: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f'[[model]]\nname = "m"\n{lines}\n')
    told = str(caught.value)
    assert words in told
    assert told.startswith(str(tmp_path))
    assert CANARY not in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"[[model]]\n{LOCAL}\n", "model 1: name: is missing"),
        (f'[model]\nname = "m"\n{LOCAL}\n', "model: write each model as a [[model]] table"),
        (f'[[model]]\nname = "m"\n{LOCAL}\n' * 2, "model: the name 'm' is given twice"),
    ],
)
def test_a_list_of_models_has_names_that_differ(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"breeder\.toml: ") as caught:
        load(tmp_path, text)
    assert words in str(caught.value)


def test_an_entry_from_a_dictionary() -> None:
    made = model_entry({"name": "m", "endpoint": "http://[::1]:8080"})
    assert made == ModelConfig(name="m", endpoint="http://[::1]:8080")
    assert made.loopback
    with pytest.raises(ConfigError, match=r"^model 'm': endpoint: is missing$"):
        model_entry({"name": "m"})


def test_prices_count_cached_tokens_apart_and_bound_from_above() -> None:
    prices = Prices(prompt=4.0, cached=1.0, answer=10.0)
    usage = Usage(1_000_000, 250_000, 100_000)
    assert prices.of(usage) == pytest.approx(3.0 + 0.25 + 1.0)
    assert Prices(prompt=4.0, answer=10.0).of(usage) == pytest.approx(4.0 + 1.0)
    assert prices.bound(1_000_000, 100_000) >= prices.of(usage)


def test_the_example_of_the_documentation_is_valid(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs/models.md"
    example = page.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    quick, thinker = load(tmp_path, example).model
    assert (quick.role, thinker.role, thinker.key_env) == ("fast", "deep", "THINKER_KEY")


def test_the_documentation_knows_every_key_and_its_default() -> None:
    page = Path(__file__).parents[3] / "docs/models.md"
    listed = page.read_text(encoding="utf-8").partition("| key |")[2].partition("\n\n")[0]
    rows = [line.split("|") for line in listed.splitlines()]
    table = {
        key.strip(" `"): row[2].strip(" `")
        for row in rows
        if len(row) == 5
        for key in row[1].split(",")
    }
    for name, field in ModelConfig.model_fields.items():
        assert name in table
        if isinstance(field.default, bool | int | float):
            assert table[name] == str(field.default).lower().removesuffix(".0")
