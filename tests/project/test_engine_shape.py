"""The shape of the engine: nobody writes another module's private attributes, and no import closes a circle."""

from __future__ import annotations

import ast
import asyncio
import sys
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from asyncmachine import Event, Machine
from tests.project.test_layering import modules, name_of

ENGINE_BASES = {"Runtime", "HandlerCall", "TransitionRecord", "Machine", "Event", "Transition"}
"""Whose subclasses in other modules may only read what is theirs."""


def declared(tree: ast.Module) -> set[str]:
    """The private attributes that classes of a module declare: in slots, in annotations, or by writing them on `self`."""
    names: set[str] = set()
    for owner in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        inherits = any(ast.unparse(base).split("[")[0] in ENGINE_BASES for base in owner.bases)
        for node in owner.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
            if isinstance(node, ast.Assign):
                names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
                if any(isinstance(target, ast.Name) and target.id == "__slots__" for target in node.targets):
                    names |= {
                        c.value
                        for c in ast.walk(node.value)
                        if isinstance(c, ast.Constant) and isinstance(c.value, str)
                    }
        if not inherits:  # of a class whose attributes are all declared here
            names |= {node.attr for node in ast.walk(owner) if is_write(node) and ast.unparse(node.value) == "self"}  # type: ignore[attr-defined]
    return names


def is_write(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def private_writes(path: Path) -> list[str]:
    """Writes of private attributes that no class of the module declares."""
    tree = ast.parse(path.read_text())
    own = declared(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_write(node) and is_private(node.attr) and node.attr not in own:
            found.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "setattr",
            "object.__setattr__",
            "type.__setattr__",
        }:
            owner, name = node.args[:2]
            if (
                ast.unparse(owner) != "cls"
                and isinstance(name, ast.Constant)
                and str(name.value).startswith("_")
                and name.value not in own
            ):
                found.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
    return found


COPY = "asyncmachine.benchmark.unobserved"
"""A copy of the runtime's own code, which is measured against it."""


@pytest.mark.parametrize("path", [path for path in modules("asyncmachine") if name_of(path) != COPY], ids=name_of)
def test_private_attributes_are_written_in_their_own_module(path: Path) -> None:
    """What a module keeps to itself, no other changes: subclasses in other modules included."""
    assert private_writes(path) == []


def test_a_write_from_outside_is_found(tmp_path: Path) -> None:
    """On another object, on `self` in a subclass, and through `setattr`; not what the module declares."""
    path = tmp_path / "module.py"
    path.write_text(
        "class A:\n    __slots__ = ('_a',)\n    def f(self, other):\n        self._a = other._b = 1\n        setattr(other, '_c', 1)\n"
        "class B(Machine):\n    def f(self):\n        self._flags |= 1\n"
    )
    found = {write.split(" ", 1)[1] for write in private_writes(path)}
    assert found == {"other._b", "setattr(other, '_c', 1)", "self._flags"}


def typed_graph(package: str) -> dict[str, set[str]]:
    """Who imports whom, imports for type checkers and inside functions included."""
    names = {name_of(path): path for path in modules(package)}
    edges: dict[str, set[str]] = {}
    for name, path in names.items():
        found = edges[name] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                submodules = {f"{node.module}.{alias.name}" for alias in node.names} & names.keys()
                found |= submodules or ({node.module} & names.keys())
    return edges


def test_the_engine_has_no_circle_even_for_type_checkers() -> None:
    """The modules beside the outer rooms can be read in an order, each with what it names already known."""
    outer = ("asyncmachine.benchmark", "asyncmachine.record", "asyncmachine.export", "asyncmachine.__main__")
    edges = {name: targets for name, targets in typed_graph("asyncmachine").items() if not name.startswith(outer)}
    while True:
        leaves = {name for name, targets in edges.items() if not targets & edges.keys()}
        if not leaves:
            break
        edges = {name: targets for name, targets in edges.items() if name not in leaves}
    assert not edges, f"in circles or behind one: {sorted(edges)}"


class Handlers:
    def AEnter(self, e: Event) -> bool:
        return True

    def AState(self, e: Event) -> None: ...


def path_of_an_add() -> tuple[list[str], int]:
    """The functions a warm `add` calls with an Enter and a State handler and one pending wait, and the moves between files."""
    calls: list[tuple[str, str]] = []

    async def main() -> None:
        m = Machine({"A": {}, "B": {}}, handlers=Handlers())
        m.add("A")
        m.remove("A")
        done = m.when("A")

        def profile(frame: FrameType, event: str, arg: Any) -> None:
            if event == "call":
                calls.append((Path(frame.f_code.co_filename).name, frame.f_code.co_name))

        sys.setprofile(profile)
        try:
            m.add("A")
        finally:
            sys.setprofile(None)
        assert done.done()

    asyncio.run(main())
    moves = sum(1 for (before, _), (after, _) in pairwise(calls) if before != after)
    return [f"{file} {name}" for file, name in calls], moves


def test_the_path_of_a_warm_add_is_short() -> None:
    """It was 15 calls in 7 files with 10 moves between files, counted by this, before the engine had one runtime."""
    calls, moves = path_of_an_add()
    assert (len(calls), len({call.split()[0] for call in calls}), moves) == (12, 5, 7), calls


if __name__ == "__main__":  # python -m tests.project.test_engine_shape
    told, between = path_of_an_add()
    summary = f"{len(told)} calls, {len({call.split()[0] for call in told})} files, {between} moves between files"
    sys.stdout.write("\n".join([*told, summary, ""]))
