"""Which versions are there? Names and where their factories live; nothing is imported before it is asked for.

A third party adds one by an entry point in the group `pubsub_sim.versions` that names a module with `make_driver`
and `describe`, and perhaps `follow`, like `pubsub_sim.drivers.baseline`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pubsub_sim.errors import OptionError

if TYPE_CHECKING:
    from pubsub_sim.node.driver import Driver, Seat

VERSIONS: dict[str, str] = {
    "baseline": "pubsub_sim.drivers.baseline",
    "states": "pubsub_sim.drivers.states",
    "direct": "pubsub_sim.drivers.direct",
}
"""Name -> module; the last is a yardstick for the two others."""

ENTRY_POINT_GROUP = "pubsub_sim.versions"


def known_versions() -> tuple[str, ...]:
    """All names, our own first; imports no version."""
    others = (entry.name for entry in entry_points(group=ENTRY_POINT_GROUP))
    return tuple(dict.fromkeys([*VERSIONS, *sorted(others)]))


def driver_factory(version: str) -> Callable[[Seat], Driver]:
    """The function that makes one host's driver; raises OptionError for an unknown name."""
    factory: Callable[[Seat], Driver] = _module(version).make_driver
    return factory


def follower(version: str) -> Callable[[Driver, Callable[[str], None]], None]:
    """The function that has each step of a driver of this version told, in words; for exhibits.

    Raises:
        OptionError: an unknown name, or a version that cannot be followed.
    """
    follow: Callable[[Driver, Callable[[str], None]], None] | None = getattr(_module(version), "follow", None)
    if follow is None:
        raise OptionError("version", version, "a version that can be followed: one with a function `follow`")
    return follow


def describe_version(version: str) -> dict[str, Any]:
    """What a version is made of: `summary` and `machines` (name, id pattern, states with their relations).

    Raises:
        OptionError: an unknown name.
    """
    description: dict[str, Any] = _module(version).describe()
    return description


def _module(version: str) -> ModuleType:
    if version not in known_versions():
        raise OptionError("version", version, f"one of {', '.join(known_versions())}")
    path = VERSIONS.get(version)
    if path is not None:
        return importlib.import_module(path)
    (entry,) = entry_points(group=ENTRY_POINT_GROUP, name=version)
    module: ModuleType = entry.load()
    return module
