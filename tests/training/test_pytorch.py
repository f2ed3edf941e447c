"""Without torch the package loads, and what needs torch says what to install."""

import subprocess
import sys

WITHOUT = """
import sys
sys.modules["torch"] = None
import breeder.training
from breeder.errors import UserError
from breeder.training import Key, KernelRegistry
try:
    breeder.training.accelerate
except UserError as error:
    print(error)
try:
    breeder.training.nothing
except AttributeError as error:
    print(error)
"""


def test_without_torch_the_extra_is_named():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "training needs torch; run: pip install 'breeder[torch]'",
        "module 'breeder.training' has no attribute 'nothing'",
    ]
