"""The source files that take part in a measurement, found by following imports statically, and their digest.

The module knows neither versions nor benchmarks. It is told where to start, and stays below one folder.
"""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")
"""Where statements, `except` and `case` hold other statements."""


def imported(
    root: Path, starts: Iterable[str], packages: Collection[str] | None = None, *, late: bool = True
) -> list[Path]:
    """Follow the imports of Python files.

    Args:
        root: folder that holds the packages; what is imported from elsewhere is not followed.
        starts: files and folders below it, with slashes; of a folder all Python files.
        packages: which packages are followed; None for all below the root.
        late: whether imports inside functions are followed, which are made when the function is called.

    Returns:
        The starts and all files below the root that importing them can bring in; the `__init__` of every package on the way
        is among them, what is imported for the type checker only is not. Sorted.
    """
    open_files = [path for name in starts for path in _files(root / name)]
    found: set[Path] = set()
    followed: set[str] = set()
    while open_files:
        path = open_files.pop()
        if path not in found:
            found.add(path)
            module = path.relative_to(root).with_suffix("").as_posix().replace("/", ".")
            for name in _on_the_way({module, *_imported_names(path.read_bytes(), late)}) - followed:
                followed.add(name)
                if packages is None or name.split(".")[0] in packages:
                    open_files += _files_of(root, name)
    return sorted(found)


def module_name(root: Path, path: Path) -> str:
    """Give the dotted name by which a file below a folder is imported."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def digest(root: Path, files: Iterable[Path]) -> str:
    """Give the hexadecimal SHA-256 over names and contents of files below a folder, in the order given."""
    total = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        total.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return total.hexdigest()


def _files(start: Path) -> list[Path]:
    return sorted(start.rglob("*.py")) if start.is_dir() else [start]


def _on_the_way(names: Iterable[str]) -> set[str]:
    """Give dotted names and the packages around each, which importing it runs."""
    parts = [name.split(".") for name in names]
    return {".".join(one[:end]) for one in parts for end in range(1, len(one) + 1)}


def _files_of(root: Path, name: str) -> list[Path]:
    """Give the file that importing a dotted name runs, beside those of its packages: none if it is no module."""
    place = root.joinpath(*name.split("."))
    return [file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()]


@lru_cache(maxsize=1024)  # a process that measures several sweeps parses a file once
def _imported_names(source: bytes, late: bool) -> tuple[str, ...]:
    return tuple(_imports(ast.parse(source).body, late))


def _imports(statements: Iterable[ast.AST], late: bool) -> Iterator[str]:
    """Give every dotted name that may be a module: of `from a import b` both `a` and `a.b`.

    An import is a statement, and so is all that can hold one; expressions are not looked into.
    """
    for one in statements:
        if isinstance(one, ast.Import):
            yield from (alias.name for alias in one.names)
        elif isinstance(one, ast.ImportFrom):
            if one.module is not None and not one.level:
                yield from (f"{one.module}.{alias.name}" for alias in one.names)
        elif isinstance(one, ast.If) and isinstance(one.test, ast.Name) and one.test.id == "TYPE_CHECKING":
            yield from _imports(one.orelse, late)
        elif late or not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in _BLOCKS:
                yield from _imports(getattr(one, part, ()), late)
