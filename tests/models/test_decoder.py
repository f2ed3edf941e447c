import math

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.errors import UserError  # noqa: E402
from breeder.models import Decoder, KeyValueCache, generate  # noqa: E402
from breeder.models.operations import rotate, swiglu  # noqa: E402


def test_a_token_sees_nothing_that_comes_later(decoder, tokens):
    before = decoder(tokens)
    changed = tokens.clone()
    changed[:, 10:] = 0
    after = decoder(changed)
    assert torch.equal(before[:, :10], after[:, :10])
    assert not torch.allclose(before[:, 10:], after[:, 10:])


@pytest.mark.parametrize("cuts", [(21,), (1,) * 21, (5, 1, 1, 9, 5), (20, 1)])
def test_reading_in_pieces_with_a_cache_gives_the_logits_of_reading_at_once(decoder, tokens, cuts):
    cache = KeyValueCache(decoder.config, batch=2, capacity=21)
    with torch.inference_mode():
        pieces = [decoder(one, cache) for one in tokens.split(cuts, dim=1)]
        whole = decoder(tokens)
    assert cache.length == 21
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=1e-4, atol=1e-4)


def test_a_truncated_cache_goes_on_from_there(decoder, tokens):
    cache = KeyValueCache(decoder.config, batch=2, capacity=40)
    with torch.inference_mode():
        decoder(tokens, cache)
        cache.truncate(7)
        again = decoder(tokens[:, 7:], cache)
        whole = decoder(tokens)
    torch.testing.assert_close(again, whole[:, 7:], rtol=1e-4, atol=1e-4)


def test_a_full_cache_and_one_beyond_the_context_are_refused(decoder, tokens):
    cache = KeyValueCache(decoder.config, batch=2, capacity=20)
    with pytest.raises(UserError, match="the cache holds 20 tokens, not 21"):
        decoder(tokens, cache)
    assert cache.length == 0
    with pytest.raises(UserError, match="65 tokens are more than the model's context 64"):
        KeyValueCache(decoder.config, batch=1, capacity=65)


def test_generation_takes_the_likeliest_token_of_a_full_forward_pass(decoder):
    prompt = [5, 9, 2]
    made = list(generate(decoder, prompt, 6))
    row = list(prompt)
    for _ in range(6):
        row.append(int(decoder(torch.tensor([row]))[0, -1].argmax()))
    assert made == row[3:]


def test_generation_ends_with_the_context_and_repeats_with_a_seed(decoder):
    first = list(generate(decoder, [1] * 60, 50, temperature=1.0, seed=3))
    assert len(first) == 4
    assert first == list(generate(decoder, [1] * 60, 50, temperature=1.0, seed=3))
    with pytest.raises(UserError, match="the prompt is empty"):
        next(generate(decoder, [], 5))


def test_initial_weights_follow_the_seed_and_start_near_a_uniform_guess(config, tokens):
    made = Decoder(config).initialise(4)
    again = Decoder(config).initialise(4)
    assert all(
        torch.equal(a, b) for a, b in zip(made.parameters(), again.parameters(), strict=True)
    )
    wanted = (tokens + 1) % config.vocabulary  # a tied head leans towards the token itself
    loss = torch.nn.functional.cross_entropy(made(tokens).flatten(0, 1), wanted.flatten())
    assert loss.item() == pytest.approx(math.log(config.vocabulary), abs=0.1)
    assert made.layers[0].mlp.down_proj.weight.std() < made.layers[0].mlp.up_proj.weight.std()


def test_rotation_keeps_lengths_and_depends_on_distances_only():
    angles = torch.outer(torch.arange(8.0), torch.tensor([1.0, 0.1]))
    q, k = torch.randn(2, 1, 1, 1, 4, generator=torch.Generator().manual_seed(1))
    turned_q = rotate(q.expand(1, 8, 1, 4), angles.cos(), angles.sin())
    turned_k = rotate(k.expand(1, 8, 1, 4), angles.cos(), angles.sin())
    assert torch.allclose(turned_q.norm(dim=-1), q.norm().expand(1, 8, 1))
    scores = turned_q[0, :, 0] @ turned_k[0, :, 0].T
    for shift in range(3):
        along = scores.diagonal(shift)
        assert torch.allclose(along, along[:1].expand_as(along), atol=1e-5)


class Seen(torch.overrides.TorchFunctionMode):
    """Notes which functions a mode gets to see."""

    def __init__(self):
        super().__init__()
        self.functions = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.functions.append(func)
        return func(*args, **(kwargs or {}))


def test_a_mode_sees_the_operations_that_kernels_may_replace(decoder, tokens):
    plain = decoder(tokens)
    with Seen() as seen:
        watched = decoder(tokens)
    assert torch.equal(plain, watched)
    layers = decoder.config.layers
    assert seen.functions.count(rotate) == 2 * layers
    assert seen.functions.count(swiglu) == layers
    assert seen.functions.count(torch.nn.functional.rms_norm) == 2 * layers + 1
    assert seen.functions.count(torch.nn.functional.scaled_dot_product_attention) == layers
