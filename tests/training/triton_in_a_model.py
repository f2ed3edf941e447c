"""Prints how far kernels in Triton, interpreted, are from PyTorch; a process of its own for a test.

Triton reads its switch when it is imported, so no test may do this in its own process.
"""

import json
import sys
from pathlib import Path

import torch

from breeder.training import KernelRegistry, accelerate, use_registry
from breeder.training.registry import LoadedKernel
from breeder.verification.registry import Registry

F = torch.nn.functional


class Unchecked(KernelRegistry):
    """Checks take minutes in the interpreter; another test makes them."""

    def _load(self, op, language):
        from breeder.training import devices
        from breeder.training.sources import sources

        (source,), _ = sources(op, self._adopted, language)
        path = devices.program(source, self._folder)
        return (LoadedKernel(source, path, devices.functions(path, source.functions)),), ""


def distances(dtype, kv_heads, causal):
    """Of loss and gradients of attention, normalisation and cross-entropy: relative, L2."""
    torch.manual_seed(0)
    q = torch.randn(2, 21, 4, 24, dtype=dtype).transpose(1, 2).requires_grad_()
    k, v = (torch.randn(2, kv_heads, 23, 24).to(dtype).requires_grad_() for _ in range(2))
    x, w = (torch.randn(*shape, requires_grad=True) for shape in ((9, 50), (50,)))
    targets = torch.randint(50, (9,))
    targets[3] = -100

    def results():
        out = F.scaled_dot_product_attention(
            q, k, v, is_causal=causal, enable_gqa=kv_heads != 4
        ).float()
        loss = F.cross_entropy(F.rms_norm(x, (50,), w, 1e-6), targets) + out.square().sum()
        return out, loss, *torch.autograd.grad(loss, (q, k, v, x, w))

    before = results()
    with accelerate() as accelerated:
        after = results()
    pairs = zip(before, after, strict=True)
    far = [float((a - b).float().norm() / a.float().norm()) for a, b in pairs]
    return far, accelerated.report().splitlines()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    use_registry(Unchecked(Registry(folder / "adopted"), folder / "programs", timed=False))
    print(json.dumps([
        distances(torch.float32, 2, True),
        distances(torch.float32, 4, False),
        distances(torch.bfloat16, 1, True),
    ]))  # fmt: skip
