"""Text to learn from: a user's files and folders, or the Python sources of this environment."""

from __future__ import annotations

import random
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

from breeder.errors import UserError


def documents(paths: Sequence[Path], limit: int, seed: int) -> list[str]:
    """Read texts, in an order that depends on the seed only.

    Args:
        paths: files, and folders whose text files are read, deeper ones too; nothing for the
            Python sources of the environment.
        limit: stop after so many bytes.
        seed: of the order.

    Raises:
        UserError: a path is missing, a named file is no text, or there is no text at all.
    """
    found = [one for path in paths for one in _files(path)] if paths else _environment()
    random.Random(seed).shuffle(found)
    texts: list[str] = []
    size = 0
    for path in found:
        if size >= limit:
            break
        text = _text(path)
        if text is None and path in paths:
            raise UserError(f"{path}: is no UTF-8 text")
        if text and text.strip():
            cut = text[: limit - size]
            texts.append(cut)
            size += len(cut.encode())
    if not texts:
        raise UserError(f"{', '.join(map(str, paths)) or 'the environment'}: holds no text")
    return texts


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"{path} does not exist")
    return sorted(_below(path, "*"))


def _environment() -> list[Path]:
    """The library's and the installed packages' sources, by path below their folder.

    That order is the same wherever the environment lies.
    """
    roots = sorted({sysconfig.get_path(name) for name in ("stdlib", "purelib")}, reverse=True)
    found: dict[Path, Path] = {}
    for root in roots:  # the deeper first: outside of virtual environments one holds the other
        for path in _below(root, "*.py"):
            found.setdefault(path, path.relative_to(root))
    return sorted(found, key=lambda path: (found[path], path))


def _below(root: str | Path, pattern: str) -> Iterator[Path]:
    for path in Path(root).rglob(pattern):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.is_file() and not hidden:
            yield path


def _text(path: Path) -> str | None:
    """The content of a text file; None where it is none, or may not be read."""
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return None if "\0" in text else text
