"""Edits that tell cases apart: what was one number for all inputs becomes two."""

from __future__ import annotations

from breeder.proposers.edits.change import Edit, Material, fitted, replacing
from breeder.proposers.edits.generation import condition
from breeder.proposers.edits.names import moved


def split_cases(material: Material) -> Edit | None:
    """Let a number depend on a generated condition: `8` becomes `4 if n < 16 else 8`.

    A heuristic that holds for all inputs is a compromise. To copy a statement, make the copy
    conditional and change its number takes three edits, of which two gain nothing.
    """
    targets = material.sites.numbers
    if not targets:
        return None
    target = material.rng.choice(targets)
    old = material.source.of(target)
    new, test = moved(material, old), condition(material, target)
    if new is None or test is None or new == old:
        return None
    python = material.source.table.family == "python"
    text = b"%s if %s else %s" % (new, test, old) if python else b"%s ? %s : %s" % (test, new, old)
    return replacing(material, target, fitted(text, target, atom=False), "split cases")
