"""Models of libraries: norms, gated projections and rotary embeddings that they spell out."""

import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from breeder.training import accelerate  # noqa: E402

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler"),
    pytest.mark.usefixtures("kernels"),
]

SIZES = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip


def decoder(kind):
    torch.manual_seed(0)
    config = {"llama": transformers.LlamaConfig, "qwen2": transformers.Qwen2Config}[kind](**SIZES)
    return transformers.AutoModelForCausalLM.from_config(config)


def tokens(rows=2, length=17):
    return torch.randint(96, (rows, length), generator=torch.Generator().manual_seed(1))


def step(model, tokens):
    model.zero_grad()
    loss = model(input_ids=tokens, labels=tokens).loss
    loss.backward()
    grads = {name: one.grad.clone() for name, one in model.named_parameters()}
    return loss.detach(), grads


def assert_same(got, expected, most=1e-5):
    assert torch.allclose(got[0], expected[0], rtol=1e-5)
    for name, grad in expected[1].items():
        assert (got[1][name] - grad).norm() <= most * grad.norm() + 1e-9, name


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_decoders_take_every_kernel_and_come_back_as_they_were(kind, kernels):
    model = decoder(kind)
    scope = vars(__import__(type(model).__module__, fromlist=["_"]))
    before = scope["apply_rotary_pos_emb"]
    expected = step(model, tokens())
    with accelerate(model) as accelerated:
        assert scope["apply_rotary_pos_emb"] is not before
        assert_same(step(model, tokens()), expected)
        assert_same(step(model, tokens(3, 40)), step(model, tokens(3, 40)))
        report = accelerated.report()
    for op in ("rmsnorm", "swiglu", "rope", "cross_entropy", "embedding"):
        assert f"{op} float32" in report
    assert scope["apply_rotary_pos_emb"] is before
    assert not [one for one in model.modules() if "forward" in vars(one)]
    again = step(model, tokens())
    assert torch.equal(again[0], expected[0])


def test_two_accelerations_of_one_family_share_the_rotary_function():
    first, second = decoder("llama"), decoder("llama")
    scope = vars(__import__(type(first).__module__, fromlist=["_"]))
    before = scope["apply_rotary_pos_emb"]
    one, two = accelerate(first), accelerate(second)
    one.undo()
    assert scope["apply_rotary_pos_emb"] is not before
    expected = first(tokens()).logits
    assert torch.allclose(second(tokens()).logits, expected, rtol=1e-4, atol=1e-5)
    two.undo()
    assert scope["apply_rotary_pos_emb"] is before


def test_a_decoder_in_bfloat16_agrees():
    model = decoder("llama").bfloat16()
    expected = step(model, tokens())
    with accelerate(model) as accelerated:
        got = step(model, tokens())
        assert "rmsnorm bfloat16" in accelerated.report()
    assert abs(got[0] - expected[0]) <= 1e-2 * expected[0]
    distance = sum((got[1][name] - one).norm() for name, one in expected[1].items())
    assert distance <= 3e-2 * sum(one.norm() for one in expected[1].values())


@pytest.mark.slow
def test_a_decoder_compiles_without_graph_breaks():
    model = decoder("llama")
    model.config.use_cache = False
    expected = model(tokens()).logits
    with accelerate(model):
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        assert torch.allclose(compiled(tokens()).logits, expected, rtol=1e-4, atol=1e-5)
    torch.compiler.reset()


class LookalikeMLP(torch.nn.Module):
    """Named and built as gated, but it adds."""

    def __init__(self):
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = (torch.nn.Linear(8, 8) for _ in range(3))
        self.act_fn = torch.nn.SiLU()

    def forward(self, x):
        return self.down_proj(self.act_fn(self.gate_proj(x)) + self.up_proj(x))


def test_what_only_looks_gated_keeps_its_forward():
    model = torch.nn.Sequential(LookalikeMLP())
    with accelerate(model):
        assert "forward" not in vars(model[0])
