import pytest

from breeder.errors import ConfigError
from breeder.training.trainer.settings import LINEAR, TrainingSettings, learning_rate


def test_the_rate_rises_then_falls_to_its_share():
    settings = TrainingSettings(steps=100, warm_up=10, rate=2.0, final_rate=0.1)
    rates = [learning_rate(settings, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == rates[10] == 2.0
    assert rates[55] == pytest.approx(1.1)  # half-way down the cosine
    assert rates[100] == pytest.approx(0.2)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_without_warm_up_it_begins_at_the_top():
    settings = TrainingSettings(steps=5, warm_up=0, rate=1.0, final_rate=0.0)
    assert learning_rate(settings, 0) == 1.0
    assert learning_rate(TrainingSettings(steps=5, warm_up=9), 4) < 1e-3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"steps": 0}, r"training: steps: input should be greater than 0 \(got 0\)"),
        ({"dtype": "int4"}, r"training: dtype: .*float32.*bfloat16"),
        ({"lora": {"r": -1}}, r"training: lora\.r: "),
        ({"lora": {"targets": ["head"]}}, r"training: lora\.targets\.0: "),
        ({"speed": 3}, "training: speed: extra inputs"),
    ],
)
def test_a_wrong_setting_is_named(values, words):
    with pytest.raises(ConfigError, match=words):
        TrainingSettings.checked(values)


def test_lora_changes_attention_unless_told_otherwise():
    assert TrainingSettings.checked({"lora": {}}).lora.targets == LINEAR[:4]
