"""Linear layers of a few bfloat16 rows: as exact as PyTorch's, wherever weights lie, on threads."""

import shutil

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.training import accelerate, fused  # noqa: E402
from breeder.training.fused import decoding, products  # noqa: E402

F = torch.nn.functional

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler"),
    pytest.mark.usefixtures("kernels"),
]

WITH_TILES = pytest.mark.skipif(not products.has_tiles(), reason="no matrix tiles here")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def drawn(rows, columns, depth):
    return torch.randn(rows, depth).bfloat16(), torch.randn(columns, depth).bfloat16()


def off(got, x, weight):
    exact = x.double() @ weight.double().T
    return float((got.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("columns", "depth"), [(1, 1), (50, 33), (257, 160), (640, 1000)])
@pytest.mark.parametrize("rows", [1, 3, 8, 16])
def test_they_are_as_exact_as_pytorchs(rows, columns, depth, count, threads):
    threads(count)
    x, weight = drawn(rows, columns, depth)
    got = fused.few_rows(x, weight)
    assert got.dtype == torch.bfloat16
    assert off(got, x, weight) <= 1.1 * off(F.linear(x, weight), x, weight) + 1e-4


def test_batches_and_weights_with_gaps():
    x, weight = torch.randn(2, 3, 64).bfloat16(), torch.randn(90, 100).bfloat16()[:, 20:84]
    got = fused.few_rows(x, weight)
    assert got.shape == (2, 3, 90)
    assert off(got.flatten(0, 1), x.flatten(0, 1), weight) < 3e-3
    turned = torch.randn(64, 90).bfloat16().T
    assert off(fused.few_rows(x, turned).flatten(0, 1), x.flatten(0, 1), turned) < 3e-3


@WITH_TILES
def test_a_model_that_decodes_takes_them():
    layer = torch.nn.Linear(64, 96, bias=False).bfloat16()
    x = torch.randn(1, 64).bfloat16()
    expected = layer(x)
    with torch.no_grad(), accelerate(layer) as accelerated:
        got = layer(x)
    assert "decoding_forward bfloat16 1x64x128: kernel" in accelerated.report()
    torch.testing.assert_close(got, expected.detach())


KEPT = {
    "a bias": lambda x, weight: F.linear(x, weight, torch.zeros(96).bfloat16()),
    "gradients": lambda x, weight: F.linear(x, weight.requires_grad_()),
    "more than 16 rows": lambda x, weight: F.linear(x.expand(decoding.MOST_ROWS + 1, -1), weight),
}


@WITH_TILES
@pytest.mark.parametrize("why", KEPT)
def test_what_stays_with_pytorch_says_why(why):
    x, weight = drawn(1, 96, 64)
    with accelerate() as accelerated:
        KEPT[why](x, weight)
    assert f"linear layers in bfloat16 {'of' if 'rows' in why else 'with'} {why}" in (
        accelerated.report()
    )


def test_the_operator_keeps_to_its_schema():
    checks = ("test_schema", "test_faketensor")
    torch.library.opcheck(decoding.few_rows.operator, drawn(2, 96, 64), test_utils=checks)
