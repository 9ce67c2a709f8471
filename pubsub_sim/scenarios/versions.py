"""The playable versions and their descriptions: those of `drivers`, and the lower bound, which has no driver."""

from __future__ import annotations

from typing import Any

from pubsub_sim.checks import check_choice
from pubsub_sim.drivers import versions as drivers
from pubsub_sim.parameters import several

LOWER_BOUND = "lower-bound"
"""Name of the lower bound of the scenario's cost: only queues or sockets, frames and signatures (see `scenarios.lower_bound`)."""


_EARLIER = {"floor": LOWER_BOUND}
"""Names that versions had before, which are still understood."""


def current_name(version: Any) -> Any:
    """Return the name of a version that is given by an earlier one; anything else as it is."""
    return _EARLIER.get(version, version) if isinstance(version, str) else version


def several_versions(option: str, value: object) -> tuple[Any, ...]:
    """Return one name, several, or a text with commas as a tuple of current names; see `parameters.several`.

    Raises:
        OptionError: no name, or a repeated one.
    """
    return several(option, tuple(current_name(name) for name in several(option, value)))


def known_versions() -> tuple[str, ...]:
    """Return all names, built-in ones first, without importing a version."""
    return (*drivers.known_versions(), LOWER_BOUND)


def check_version(version: object) -> None:
    """Refuse an unknown name; see `drivers.versions.check_version`.

    Raises:
        OptionError: an unknown name.
    """
    if version not in (*drivers.VERSIONS, LOWER_BOUND):
        check_choice("version", version, known_versions())


def name_package(version: str) -> str:
    """Name the package that one of our versions is imported from; "" for a version of others and for the lower bound."""
    return drivers.VERSIONS.get(version, "")


def describe_version(version: str) -> dict[str, Any]:
    """Return the description of a version, as data for reports; see `drivers.versions.describe_version`.

    Raises:
        OptionError: an unknown name.
    """
    if version == LOWER_BOUND:
        return {
            "summary": "a reference, no pubsub: a set of message ids per host, queues or bare sockets between them, the "
            "same frames and the same signatures; what the scenario costs whoever decides nothing",
            "machines": [],
        }
    return drivers.describe_version(version)
