"""Without torch the package loads, and what needs torch says what to install."""

import subprocess
import sys

WITHOUT = """
import sys
sys.modules["torch"] = None
import breeder.models
from breeder.errors import UserError
print(breeder.models.preset("gpt-30m", 8192).parameters())
try:
    breeder.models.Decoder
except UserError as error:
    print(error)
try:
    breeder.models.nothing
except AttributeError as error:
    print(error)
"""


def test_without_torch_the_extra_is_named():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "29893120",
        "a model needs torch; run: pip install 'breeder[torch]'",
        "module 'breeder.models' has no attribute 'nothing'",
    ]
