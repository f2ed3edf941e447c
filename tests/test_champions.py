"""The champions that ship: certificates intact, programs as certified, tasks unchanged since."""

from pathlib import Path

import pytest

from breeder.task_formats import load
from breeder.verification import certificate as certificates

CHAMPIONS = Path(__file__).parents[1] / "champions"
FOLDERS = sorted(path.parent for path in CHAMPIONS.glob("*/certificate.json"))


def test_there_are_champions_and_the_page_names_each() -> None:
    page = (CHAMPIONS / "README.md").read_text(encoding="utf-8")
    assert FOLDERS
    assert all(f"`{folder.name}`" in page for folder in FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_champion_is_certified_as_it_lies_there(folder: Path) -> None:
    certificate = certificates.read(folder / "certificate.json")
    assert certificate.verdict == "holds"
    for name, text in certificate.program.files.items():
        assert (folder / name).read_text(encoding="utf-8") == text
    # A certificate for a task that has changed since cannot be repeated: it must be made anew.
    assert load(certificate.task.name).digest() == certificate.task.digest
