"""In `pubsub_sim`, what a module keeps to itself no other reads, changes or imports."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.project.test_engine_shape import declared, is_private, private_writes
from tests.project.test_layering import modules, name_of

BASES = {
    "Inbox": "the half of a driver that all versions share; its private names are for the other half",
    "PubsubMachine": "RpcMachine is a PubsubMachine in which RPCs are mutations",
    "PubsubHandlers": "RpcHandlers are PubsubHandlers with one more",
    "MemoryHost": "LinkedHost is a MemoryHost that can be paused",
    "MemoryNetwork": "LinkedNetwork is a MemoryNetwork with other lanes",
}
"""Classes whose subclasses in other modules read private names of theirs, through `self` alone."""
FOREIGN = {
    ("pubsub_sim.net.virtual", "_run"): "a loop of our own runs asyncio's handles",
    ("pubsub_sim.net.virtual", "_fut_waiter"): "what a task waits for; asyncio has no other name for it",
    ("pubsub_sim.node.lifetime", "_unregister_task"): "a task that is left alone is to be told of by nobody",
    ("pubsub_sim.node.lifetime", "_log_destroy_pending"): "likewise",
}
"""Private names of the standard library."""
PUBLIC_ALL_THE_SAME = {"_exit", "_replace", "_asdict", "_fields", "_make"}
"""Names of `os` and of named tuples, which are documented."""


def private_reads(path: Path, module: str = "") -> list[str]:
    """Private attributes and imported names that the module neither declares nor may read."""
    tree = ast.parse(path.read_text())
    own = declared(tree) | {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    of_bases = {
        id(part)
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef) and any(ast.unparse(base) in BASES for base in owner.bases)
        for part in ast.walk(owner)
        if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self"
    }
    found = []
    known = own | PUBLIC_ALL_THE_SAME | {name for place, name in FOREIGN if place == module}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and is_private(node.attr)
            and node.attr not in known
            and id(node) not in of_bases
        ):
            found.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pubsub_sim"):
            found += [f"{path.name}:{node.lineno} import {a.name}" for a in node.names if is_private(a.name)]
    return found


SOURCES = [path for path in modules("pubsub_sim") if not path.name.endswith("_pb2.py")]


def test_private_names_stay_in_their_module() -> None:
    """Not read, not written, not imported; the exceptions are listed above, each with its reason."""
    for path in SOURCES:
        written = [told for told in private_writes(path) if (name_of(path), told.rpartition(".")[2]) not in FOREIGN]
        assert private_reads(path, name_of(path)) + written == [], name_of(path)


def test_every_exception_is_needed() -> None:
    """A private name of the standard library that is read no more leaves the list."""
    for module, name in FOREIGN:
        (path,) = [path for path in SOURCES if name_of(path) == module]
        assert any(found.endswith(f".{name}") for found in private_reads(path))


def test_a_read_from_outside_is_found(tmp_path: Path) -> None:
    """Of another object's attribute, of a base's through another object, and of an imported name."""
    path = tmp_path / "module.py"
    path.write_text(
        "from pubsub_sim.errors import _shorten\n"
        "class A:\n    def f(self, other):\n        self._a = 1\n        return other._a + other._b\n"
        "class B(Inbox):\n    def f(self, other):\n        return self._core, other._core\n"
    )
    found = {told.split(" ", 1)[1] for told in private_reads(path)}
    assert found == {"import _shorten", "other._b", "other._core"}
