import pytest

from tests.hostile.campaign import Campaign, play
from tests.hostile.programs import HONEST_SCORE, PROGRAMS


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    return play(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_failure_names_what_was_done(campaign: Campaign, name: str) -> None:
    verdict = campaign.verdicts[name]
    assert verdict.kind in PROGRAMS[name][1], verdict.text


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_accepted_that_is_not_earned(campaign: Campaign, name: str) -> None:
    score = campaign.verdicts[name].score
    assert score is None or score == HONEST_SCORE


def test_honest_candidates_between_them_are_unharmed(campaign: Campaign) -> None:
    assert campaign.honest == [HONEST_SCORE] * len(PROGRAMS)


def test_the_run_finishes_with_an_honest_champion(campaign: Campaign) -> None:
    assert campaign.reason.startswith("exhausted")
    assert campaign.champion_score == HONEST_SCORE


def test_task_folder_and_keys_are_safe(campaign: Campaign) -> None:
    assert campaign.untouched
    assert campaign.leaks == []


def test_nothing_was_seen_of_environment_and_home(campaign: Campaign) -> None:
    assert "LEAK []" in campaign.verdicts["reads environment and home"].text
