from pathlib import Path

import pytest

from breeder.config import load_config
from breeder.errors import ConfigError


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "breeder.toml"
    file.write_text("seed = 3\nslots = 5\n[budget]\nminutes = 1.5\n")
    config = load_config(file, {"seed": 4, "budget.evaluations": 9}, defaults={"slots": 2})
    assert (config.seed, config.slots) == (4, 5)
    assert (config.budget.minutes, config.budget.evaluations) == (1.5, 9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sede = 1\n", "sede: unknown key"),
        ("[budget]\nminutes = 0\n", "budget.minutes: must be greater than 0"),
        ('slots = "two"\n', "slots"),
        ("seed = \n", "is not valid TOML"),
        ('[search]\nproposers = ["magic"]\n', "unknown proposer"),
        ('baselines = ["magic"]\n', "unknown baseline 'magic'; choose from random search, tuned"),
        ("budget = 3\n", "budget"),
    ],
)
def test_mistakes_name_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file, {"budget.evaluations": 1} if text.startswith("budget") else {})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml", {})
