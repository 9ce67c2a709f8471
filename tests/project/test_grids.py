"""The grids of the Makefile: each is a sweep that can be measured, and is as large as the guides say."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from pubsub_sim.bench.conditions import list_conditions
from pubsub_sim.bench.grid import plan
from pubsub_sim.bench.load_options import LoadOptions
from pubsub_sim.bench.options import SweepOptions

ROOT = Path(__file__).parents[2]


def options_of(grid: str) -> SweepOptions:
    """Ask make for the parameters of a grid, and read them as the notebook is given them: through a shell, as YAML."""
    rule = "shown:\n\t@printf '%s' \"$(PARAMETERS)\"\n"
    words = ["make", "--no-print-directory", "-f", "Makefile", "-f", "-", "shown", f"GRID={grid}"]
    done = subprocess.run(words, cwd=ROOT, input=rule, capture_output=True, text=True, check=True)
    return SweepOptions.from_parameters(yaml.safe_load(done.stdout))


@pytest.mark.parametrize("grid", ["default", "full", "published", "auto", "tiny"])
def test_every_grid_is_a_sweep(grid: str) -> None:
    """Its parameters are known and can be used together."""
    assert plan(options_of(grid))


def test_full_grids_have_ten_sessions() -> None:
    """Two or three repeats in each, so that the interval is one over sessions."""
    for grid in ("full", "published"):
        options = options_of(grid)
        assert options.sessions >= 10
        assert options.repeats in (2, 3)
        assert options.control
        assert options.whole_repeats


def test_published_grid_holds_every_condition_of_the_report() -> None:
    """Signed and unsigned, floodsub and gossipsub, in memory, over TCP and with Noise and yamux; both loops over the whole grid."""
    options = options_of("published")
    found = list_conditions(options)
    places = {(one.router, one.transport, one.sign) for one in found if one.loop == "uvloop"}
    for sign in ("strict", "none"):
        for router in ("floodsub", "gossipsub"):
            assert {(router, "memory", sign), (router, "tcp", sign)} <= places
        assert ("floodsub", "libp2p", sign) in places
    whole = {
        one.loop for one in found if (one.hosts, one.messages, one.sign) == (options.hosts, options.messages, "strict")
    }
    assert whole == {"uvloop", "asyncio"}
    assert options.comparator_repeats >= 10


def test_guides_say_how_many_runs_the_default_grid_has() -> None:
    """The number in both guides is that of the plan."""
    kinds = Counter(run.kind for pair in plan(options_of("default")) for run in pair.runs)
    total = sum(kinds.values())
    for guide in ("README.md", "pubsub_sim/README.md"):
        assert re.search(rf"\b{total} runs", (ROOT / guide).read_text())
    assert f"and {kinds['field']} beside the references" in (ROOT / "pubsub_sim/README.md").read_text()


@pytest.mark.parametrize("grid", ["default", "full", "published", "auto", "tiny"])
def test_what_is_measured_under_load_can_be(grid: str) -> None:
    """The parameters of `make load` are known and can be used together."""
    rule = "shown:\n\t@printf '%s' \"$(LOAD)\"\n"
    words = ["make", "--no-print-directory", "-f", "Makefile", "-f", "-", "shown", f"GRID={grid}"]
    done = subprocess.run(words, cwd=ROOT, input=rule, capture_output=True, text=True, check=True)
    options = LoadOptions.from_parameters(yaml.safe_load(done.stdout))
    assert {"baseline", "states"} <= set(options.versions)
