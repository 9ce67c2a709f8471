"""The source files that take part in a measurement, found by following imports statically, and their digest.

The module knows neither versions nor benchmarks. It is told where to start, and stays below one folder.
"""

from __future__ import annotations

import ast
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path


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
    found: dict[Path, None] = {}
    while open_files:
        path = open_files.pop()
        if path not in found:
            found[path] = None
            module = path.relative_to(root).with_suffix("").as_posix().replace("/", ".")
            names = [module, *_imports(ast.parse(path.read_bytes()), late=late)]
            ours = [name for name in names if packages is None or name.split(".")[0] in packages]
            open_files += [file for name in ours for file in _on_the_way(root, name)]
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


def _on_the_way(root: Path, name: str) -> Iterator[Path]:
    """Give the files that importing a dotted name runs: its packages, from the outside in, and itself if it is a module."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:end])
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                yield file


def _imports(node: ast.AST, *, late: bool) -> Iterator[str]:
    """Give every dotted name that may be a module: of `from a import b` both `a` and `a.b`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        for statement in node.orelse:
            yield from _imports(statement, late=late)
    elif late or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for child in ast.iter_child_nodes(node):
            yield from _imports(child, late=late)
