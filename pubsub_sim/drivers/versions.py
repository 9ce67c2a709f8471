"""The registry of versions; their modules are imported on use.

A third party adds a version by an entry point in the group `pubsub_sim.versions` that names a module with `make_driver`
and `describe`, and optionally `trace` and `machines`, like `pubsub_sim.drivers.baseline` and `pubsub_sim.drivers.states`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pubsub_sim.checks import check_choice
from pubsub_sim.errors import OptionError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pubsub_sim.node.driver import Driver, HostContext

VERSIONS: dict[str, str] = {
    "baseline": "pubsub_sim.drivers.baseline",
    "states": "pubsub_sim.drivers.states",
    "direct": "pubsub_sim.drivers.direct",
    "states-rpc": "pubsub_sim.drivers.states_rpc",
}
"""Name -> module; `direct` is a reference for the first two, and `states-rpc` is `states` without its short cut for RPCs."""

Trace = Callable[["Driver", Callable[[str], None]], None]
"""Makes a driver report each of its steps, before acting, to a function; called before the driver starts."""

ENTRY_POINT_GROUP = "pubsub_sim.versions"


def known_versions() -> tuple[str, ...]:
    """Return all names, built-in ones first, without importing a version. Takes milliseconds, as installed packages are scanned."""
    others = (entry.name for entry in _entry_points())
    return tuple(dict.fromkeys([*VERSIONS, *sorted(others)]))


def check_version(version: object) -> None:
    """Refuse an unknown name; installed packages are scanned only if the name is not built in.

    Raises:
        OptionError: an unknown name.
    """
    if version not in tuple(VERSIONS):
        check_choice("version", version, known_versions())


def driver_factory(version: str) -> Callable[[HostContext], Driver]:
    """Return the factory of a version's drivers; raise OptionError for an unknown name."""
    factory: Callable[[HostContext], Driver] = _module(version).make_driver
    return factory


def driver_tracer(version: str) -> Trace:
    """Return the function that reports each step of a driver of this version as text; for illustrations.

    Raises:
        OptionError: an unknown name, or a version without such a function.
    """
    trace = _trace_of(version)
    if trace is None:
        raise OptionError("version", version, "a version that can be traced: one with a function `trace`")
    return trace


def is_traceable(version: str) -> bool:
    """Return whether `driver_tracer` supports this version; raise OptionError for an unknown name."""
    return _trace_of(version) is not None


def _trace_of(version: str) -> Trace | None:
    module = _module(version)
    trace: Trace | None = getattr(module, "trace", None) or getattr(module, "follow", None)  # its name until 0.1.0
    return trace


def machines_of(version: str) -> Callable[[Driver], Sequence[Any]]:
    """Return the function that returns the state machines of a new driver; later machines are their children.

    Raises:
        OptionError: an unknown name.
    """
    machines: Callable[[Driver], Sequence[Any]] = getattr(_module(version), "machines", _no_machines)
    return machines


def _no_machines(driver: Driver) -> Sequence[Any]:
    return ()


def describe_version(version: str) -> dict[str, Any]:
    """Return the description of a version: `summary` and `machines` (name, id pattern, states with their relations).

    Raises:
        OptionError: an unknown name.
    """
    description: dict[str, Any] = _module(version).describe()
    return description


def _module(version: str) -> ModuleType:
    path = VERSIONS.get(version)
    if path is not None:
        return importlib.import_module(path)
    check_version(version)
    (entry,) = (entry for entry in _entry_points() if entry.name == version)
    module: ModuleType = entry.load()
    return module


def _entry_points() -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points  # a tenth of a worker's imports, which only versions of others need

    return entry_points(group=ENTRY_POINT_GROUP)
