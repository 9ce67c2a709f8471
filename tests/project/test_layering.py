"""Who imports whom: the rooms of the project and the directions between them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
ENGINE_OUTER = {
    "__main__",
    "pipes",
    "history",
    "schemas",
    "testing",
    "benchmark",
    "record",
    "export",
}
MAY_IMPORT_ASYNCIO = {"_asyncio", "testing", "benchmark", "record", "export"}
MAY_TAKE_OF_THREADING = {"get_ident", "Lock"}
"""Which thread this is, and keeping others out: no thread can be started with these."""
STARTS_THREADS = {"Thread", "Timer", "start_new_thread", "to_thread", "run_in_executor", "ThreadPoolExecutor"}
OUTSIDE_WORLD = {"asyncio", "threading", "socket", "selectors", "subprocess", "time", "random", "os"}

# room -> rooms of pubsub_sim it may import (every room may import itself and the root files)
ALLOWED: dict[str, set[str]] = {
    "root": set(),
    "wire": set(),
    "protocol": {"wire"},
    "libp2p": {"wire"},
    "net": {"libp2p"},
    "node": {"wire", "protocol"},
    "drivers": {"node"},  # drivers/versions.py: names, and the types of the seam
    "drivers.baseline": {"protocol", "node", "wire"},
    "drivers.states": {"protocol", "node", "wire"},
    "drivers.states_rpc": {"node", "drivers", "drivers.states"},  # its machines, with RPCs as mutations
    "drivers.direct": {
        "protocol",
        "node",
        "wire",
        "drivers.baseline",
    },  # its handlers and its discovery, without its loop
    "world": {"wire", "protocol", "net", "node", "drivers"},
    "scenarios": {"wire", "protocol", "net", "node", "drivers", "world"},
    "checking": {"wire", "protocol", "net", "node", "drivers", "world"},
    "simulator": {"wire", "protocol", "net", "node", "drivers", "world", "results"},  # of wire the keys of nodes
    "results": set(),
    "bench": {"results", "world", "scenarios", "checking", "simulator"},
    "report": {"results"},
    "recording": {
        "wire",
        "net",
        "node",
        "drivers",
        "world",
        "scenarios",
    },  # of wire the types that tracers are told
}
MAY_IMPORT_ASYNCMACHINE = {"drivers.states", "drivers.states_rpc", "simulator", "recording"}
ENGINE_REACHES_OUT = {  # inside a method: who asks for a picture gets what draws it, and nobody else loads it
    ("asyncmachine.machine", "asyncmachine.export"),
    ("asyncmachine.machine", "asyncmachine.export.diagrams"),
    ("asyncmachine.schema", "asyncmachine.export"),
    ("asyncmachine.schema", "asyncmachine.export.diagrams"),
}
FORBIDDEN_STDLIB = {"wire": OUTSIDE_WORLD, "protocol": OUTSIDE_WORLD, "libp2p": OUTSIDE_WORLD}


def room_of(module: str) -> str:
    parts = module.split(".")[1:]
    if not parts or not (ROOT / "pubsub_sim" / parts[0]).is_dir():
        return "root"
    if parts[0] == "drivers" and len(parts) > 1 and (ROOT / "pubsub_sim" / "drivers" / parts[1]).is_dir():
        return f"drivers.{parts[1]}"
    return parts[0]


def for_types_only(tree: ast.Module) -> set[int]:
    """Nodes under `if TYPE_CHECKING:`."""
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    return {id(node) for block in blocks for node in ast.walk(block)}


class Imported(NamedTuple):
    """A module that is imported, whether for types only, and whether by naming something in it."""

    name: str
    for_types: bool
    is_source: bool = False


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def all_imports_of(path: Path) -> tuple[Imported, ...]:
    tree = parsed(path)
    typing_only = for_types_only(tree)
    found: list[Imported] = []
    for node in ast.walk(tree):
        for_types = id(node) in typing_only
        if isinstance(node, ast.Import):
            found += [Imported(alias.name, for_types) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; the rooms are easier to see with absolute ones"
            assert node.module is not None
            found.append(Imported(node.module, for_types, is_source=True))
            found += [Imported(f"{node.module}.{alias.name}", for_types) for alias in node.names]
    return tuple(found)


def imports_of(path: Path, *, at_run_time: bool = False) -> list[str]:
    return [one.name for one in all_imports_of(path) if not (at_run_time and one.for_types)]


def modules(package: str) -> list[Path]:
    return sorted(p for p in (ROOT / package).rglob("*.py") if not p.name.endswith("_pb2.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_it_may_not(path: Path) -> list[str]:
    """What a module of the simulator imports from rooms, packages or parts of the standard library that are not for its room."""
    module = name_of(path)
    room = room_of(module)
    if module in ("pubsub_sim", "pubsub_sim.__main__"):
        return []  # the public names, and the command line
    found = []
    for imported in imports_of(path):
        top = imported.split(".")[0]
        if top == "pubsub_sim":
            may = room_of(imported) in {room, "root"} | ALLOWED[room]
        elif top == "asyncmachine":
            may = room in MAY_IMPORT_ASYNCMACHINE
        else:
            may = top not in FORBIDDEN_STDLIB.get(room, set())
        found += [] if may else [f"{module} ({room}) imports {imported}"]
    return found


def test_pubsub_modules_import_only_the_rooms_they_may() -> None:
    """Decisions, drivers, worlds, measuring and reporting depend on each other in one direction only."""
    assert [found for path in modules("pubsub_sim") for found in imports_it_may_not(path)] == []


def test_measuring_begins_without_pandas() -> None:
    """It takes half a second to load, in each process that measures: only the functions that make frames import it."""
    for path in [*modules("pubsub_sim/results"), *modules("pubsub_sim/bench")]:
        begins = [node for node in parsed(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in begins]
        assert not [name for name in names if (name or "").split(".")[0] == "pandas"], name_of(path)


def test_nothing_but_the_command_line_imports_the_room_of_records() -> None:
    """What measures cannot load a recorder by importing a neighbour; the command line imports it when it is asked to."""
    importing = [
        name_of(path)
        for path in modules("pubsub_sim")
        if room_of(name_of(path)) != "recording" and any(room_of(name) == "recording" for name in imports_of(path))
    ]
    assert importing == []


def outside_of_the_engine(path: Path) -> list[str]:
    """What a module of the engine imports that it may not."""
    module = name_of(path)
    parts = module.split(".")
    room = parts[1] if len(parts) > 1 else ""
    found = []
    for imported in imports_of(path, at_run_time=True):
        top, *inside = imported.split(".")
        may = top != "pubsub_sim" and (top != "asyncio" or room in MAY_IMPORT_ASYNCIO)
        if room not in ENGINE_OUTER and (module, imported) not in ENGINE_REACHES_OUT:
            may &= not (top == "asyncmachine" and inside and inside[0] in ENGINE_OUTER)
            may &= top not in {"socket", "subprocess", "multiprocessing", "concurrent", "_thread"}
        found += [] if may else [f"{module} imports {imported}"]
    return found


def test_the_engine_knows_neither_pubsub_nor_the_outside_world() -> None:
    """Of the engine only _asyncio.py touches asyncio; nothing in it imports the rooms around it."""
    assert [found for path in modules("asyncmachine") for found in outside_of_the_engine(path)] == []


@pytest.mark.parametrize(
    ("find", "name", "text", "found"),
    [
        (imports_it_may_not, "pubsub_sim/wire/new.py", "import pubsub_sim.net.tcp", "pubsub_sim.net.tcp"),
        (imports_it_may_not, "pubsub_sim/protocol/new.py", "import asyncio", "asyncio"),
        (imports_it_may_not, "pubsub_sim/net/new.py", "import asyncmachine", "asyncmachine"),
        (outside_of_the_engine, "asyncmachine/new.py", "import asyncio", "asyncio"),
        (outside_of_the_engine, "asyncmachine/new.py", "import socket", "socket"),
        (outside_of_the_engine, "asyncmachine/new.py", "import asyncmachine.record", "asyncmachine.record"),
        (outside_of_the_engine, "asyncmachine/record/new.py", "import pubsub_sim", "pubsub_sim"),
    ],
)
def test_an_import_that_may_not_be_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    find: Callable[[Path], list[str]],
    name: str,
    text: str,
    found: str,
) -> None:
    """So that the tests above can fail."""
    for room in ("wire", "protocol", "net", "record"):
        (tmp_path / "pubsub_sim" / room).mkdir(parents=True)
        (tmp_path / "asyncmachine" / room).mkdir(parents=True)
    monkeypatch.setattr("tests.project.test_layering.ROOT", tmp_path)
    (tmp_path / name).write_text(text)
    (told,) = find(tmp_path / name)
    assert told.endswith(f" imports {found}")


def names_in(tree: ast.Module) -> set[str]:
    """What a module names: variables, attributes, and what it imports from others."""
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return found | {alias.name for node in imports for alias in node.names}


def starts_threads(tree: ast.Module) -> bool:
    """Whether a module takes more of `threading` than it may, or names what starts threads."""
    taken: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            taken |= {alias.name for alias in node.names if alias.name == "threading"}
        if isinstance(node, ast.ImportFrom) and node.module == "threading":
            taken |= {alias.name for alias in node.names}
    return not taken <= MAY_TAKE_OF_THREADING or not STARTS_THREADS.isdisjoint(names_in(tree))


def test_the_engine_starts_no_threads() -> None:
    """A machine belongs to one thread; the engine may ask which one that is, and lock, and no more."""
    for path in modules("asyncmachine"):
        parts = name_of(path).split(".")
        if len(parts) == 1 or parts[1] not in ENGINE_OUTER:
            assert not starts_threads(parsed(path)), name_of(path)


@pytest.mark.parametrize(
    ("text", "is_starting"),
    [
        ("from threading import get_ident, Lock", False),
        ("from threading import Thread", True),
        ("import threading", True),
        ("asyncio.to_thread(f)", True),
        ("loop.run_in_executor(None, f)", True),
    ],
)
def test_what_starts_threads_is_found(text: str, is_starting: bool) -> None:
    """Whichever way a module takes to it."""
    assert starts_threads(ast.parse(text)) is is_starting


def graph(package: str) -> dict[str, set[str]]:
    names = {name_of(path) for path in modules(package)}
    return {
        name_of(path): {
            one.name for one in all_imports_of(path) if one.is_source and not one.for_types and one.name in names
        }
        for path in modules(package)
    }


@pytest.mark.parametrize("package", ["asyncmachine", "pubsub_sim"])
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    """A reader can take the modules in an order."""
    edges = graph(package)
    while True:
        leaves = {name for name, targets in edges.items() if not targets & edges.keys()}
        if not leaves:
            break
        edges = {name: targets for name, targets in edges.items() if name not in leaves}
    assert not edges, f"in circles or behind one: {sorted(edges)}"
