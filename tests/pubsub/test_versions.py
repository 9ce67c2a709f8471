"""Look-up of a version by its name."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, DistributionFinder

import pytest

from pubsub_sim import OptionError
from pubsub_sim.drivers.versions import check_version, driver_factory, known_versions
from pubsub_sim.scenarios.simple_discovery import SimpleDiscovery


class Asked(DistributionFinder):
    """Finds no package, and counts how often the installed ones were looked through."""

    def __init__(self) -> None:
        self.times = 0

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        return None

    def find_distributions(self, context: object = None) -> Iterable[Distribution]:
        self.times += 1
        return ()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    monkeypatch.setattr(sys, "meta_path", [asked, *sys.meta_path])
    return asked


def test_our_own_versions_are_found_without_a_look_through_all_packages(asked: Asked) -> None:
    """That look takes milliseconds, and a search for faults makes thousands of worlds."""
    for name in ("baseline", "states", "direct", "states-rpc"):
        assert callable(driver_factory(name))
    for name in ("baseline", "lower-bound"):
        SimpleDiscovery(version=name, hosts=2, messages=1)
    assert asked.times == 0


def test_another_name_is_looked_for_among_all_packages(asked: Asked) -> None:
    with pytest.raises(
        OptionError, match="version: expected one of baseline, states, direct, states-rpc, got 'origin'"
    ):
        driver_factory("origin")
    assert asked.times > 0
    assert known_versions() == ("baseline", "states", "direct", "states-rpc")


@pytest.mark.parametrize("name", ["origin", "", None, ["baseline"], 3])
def test_what_names_no_version_is_refused(name: object) -> None:
    """Whatever its type: it may come out of a file."""
    with pytest.raises(OptionError, match="version: expected one of baseline, states"):
        check_version(name)
    with pytest.raises(OptionError, match=r"version: expected one of .*, lower-bound"):
        SimpleDiscovery(version=name, hosts=2, messages=1)  # type: ignore[arg-type] # that is the point
