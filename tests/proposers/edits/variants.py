"""What an edit makes of a function is compiled and compared with the function that it was."""

import random
from collections.abc import Callable, Sequence

from breeder.core import NativeFunction
from breeder.evaluation.bubblewrap import BubblewrapSandbox
from breeder.evaluation.sandbox import ProgramSpec
from breeder.proposers.edits.change import Edit, Material, apply
from breeder.proposers.trees import parses, read
from conformance.sandbox import LIMITS, call

_HEADERS = ("cmath", "cstdint", "cstdlib", "cstring", "initializer_list")
_BUILD = (
    "g++", "-std=c++17", "-O1", "-fopenmp-simd", "-Wall", "-Wno-unused", "-Werror", "-shared",
    "-fPIC", "-o", "{output}",
)  # fmt: skip


def results(
    edit: Callable[[Material], Edit | None],
    text: str,
    *,
    seeds: int = 40,
    language: str = "cpp",
    whole: bool = False,
) -> list[str]:
    """The distinct texts that an edit makes of a text; all of them parse."""
    source = read(text, language, whole=whole)
    assert source is not None
    made = []
    for seed in range(seeds):
        found = edit(Material(source, (source,), random.Random(seed)))
        if found is not None:
            after = apply(source.text, found.changes)
            assert after is not None
            assert "\n" not in found.note
            assert parses(after, language)
            made.append(after.decode())
    return list(dict.fromkeys(made))


def first_wrong(start: str, variants: Sequence[str], signature: str, compared: str) -> int:
    """Compile a function and its variants, and run code that compares them, in the sandbox.

    Args:
        start: defines `work`.
        variants: the same function, otherwise.
        signature: of the function, with `(*)` in the place of its name.
        compared: defines `bool differs(SIGNATURE variant)`, which may call `start::work`.

    Returns:
        Number of the first variant that differs; -1 when none does.
    """
    parts = [f"#include <{name}>\n" for name in _HEADERS]
    parts += [f"namespace start {{\n{start}}}\n"]
    parts += [f"namespace v{k} {{\n{text}}}\n" for k, text in enumerate(variants)]
    listed = ", ".join(f"v{k}::work" for k in range(len(variants)))
    pointers = signature.replace("(*)", "(*const variants[])")
    parts += [f"{pointers} = {{{listed}}};\n", compared]
    parts += [
        'extern "C" int64_t f(void)\n{\n'
        f"    for (int v = 0; v < {len(variants)}; v++)\n"
        "        if (differs(variants[v])) return v;\n    return -1;\n}\n"
    ]
    # Whatever an edit makes of a program runs in the sandbox only.
    declared = {"f": NativeFunction((), "int64")}
    files = {"variants.cpp": "".join(parts)}
    spec = ProgramSpec(files, "variants.cpp", "native", declared, (*_BUILD, "variants.cpp"))
    sandbox = BubblewrapSandbox(slot=0)
    try:
        program = sandbox.start(spec, LIMITS)
        answer = call(program)
        program.close()
        return int(answer)
    finally:
        sandbox.close()
