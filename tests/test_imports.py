"""The import rule of ARCHITECTURE.md: who may import whom."""

import ast
from pathlib import Path

import pytest

import breeder

ROOT = Path(breeder.__file__).parent

# A module may import the layers before its own, and its own.
LAYERS = (
    {"core", "errors", "regions"},
    {"extras"},
    {"task", "task_file", "machine", "capabilities", "capture", "made_task"},
    {"measurement"},
    {"archive", "proposers", "evaluation", "executors", "ledger"},
    {"kernels", "maths"},
    {"models"},
    {"task_formats", "config", "testing"},
    {"model_specs", "reachability", "foreign_models"},
    {"admission", "promotion", "racing"},
    {"progress"},
    {"confirmation", "resumption"},
    {"engine", "verification"},
    {"training"},
    {"assembly"},
    {"matched", "held_out", "scaffold", "checking", "doctor"},
    {"runner"},
    {"acceleration"},
    {"report", "dashboard", "loop"},
    {"result"},
    {"api"},
    {"ablation"},
    {"terminal"},
    {"options"},
    {"certifying", "cli_ablate", "cli_models", "cli_records", "cli_train", "cli_views"},
    {"cli_accelerate", "cli_kernels"},
    {"cli"},
)
# The foreign evaluators' stand-in modules run inside the sandbox and import nothing of ours.
EXCEPTIONS = {"suites", "template"}


def layer(module: str) -> int:
    for index, names in enumerate(LAYERS):
        if module in names:
            return index
    raise AssertionError(f"breeder.{module} has no layer: add it to LAYERS")


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "breeder":
                names |= {f"breeder.{alias.name}" for alias in node.names}
            else:
                names.add(node.module)
    return names


SOURCES = sorted(
    path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in EXCEPTIONS
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_import_only_lower_layers(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if own in ("__init__", "__main__"):
        return
    for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
        parts = name.split(".")
        if parts[0] == "breeder" and len(parts) > 1 and parts[1] != "__version__":
            assert layer(parts[1]) <= layer(own), f"{path.name} imports {name}"


def test_core_imports_only_the_standard_library() -> None:
    import sys

    for module in ("core", "errors", "regions"):
        tree = ast.parse((ROOT / f"{module}.py").read_text(encoding="utf-8"))
        for name in imported(tree):
            top = name.split(".")[0]
            assert top == "breeder" or top in sys.stdlib_module_names, f"{module} imports {name}"


def test_no_module_imports_a_suite() -> None:
    for path in SOURCES:
        for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
            assert not name.startswith("breeder.suites"), f"{path} imports {name}"
