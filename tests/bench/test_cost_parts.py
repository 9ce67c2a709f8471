"""The command `cost-parts`: what the bytecodes of a message are spent on."""

from __future__ import annotations

import pytest

from pubsub_sim import OptionError
from pubsub_sim.bench.cost_parts import PARTS, CostPartsOptions, cost_parts_command, count_parts, table

OPTIONS = CostPartsOptions(versions=("baseline", "states", "states-rpc"), hosts=3, messages=24)
MACHINES = [part for part in PARTS if "machine:" in part]


def test_the_count_is_the_same_each_time() -> None:
    """It is counted and not measured: two runs give the same table."""
    assert count_parts(OPTIONS, "baseline") == count_parts(OPTIONS, "baseline")


def test_machines_are_counted_where_there_are_some() -> None:
    """The event loop has none; in `states` each takes its part; RPCs as mutations are mutations of the host."""
    baseline, states, rpcs = (count_parts(OPTIONS, version) for version in OPTIONS.versions)
    assert not any(baseline[part] for part in MACHINES)
    assert all(states[part] > 100 for part in MACHINES)
    assert rpcs["host machine: mutations"] > 1.5 * states["host machine: mutations"]
    assert rpcs["flow machine: mutations, reset"] == pytest.approx(states["flow machine: mutations, reset"], rel=0.1)


def test_a_table_adds_up() -> None:
    """Parts that no version has are left out; the last line is the sum."""
    counts = {
        name: dict.fromkeys(PARTS, 0.0) | {PARTS[0]: more, PARTS[-1]: 1000.0} for name, more in [("a", 0), ("b", 234)]
    }
    lines = table(counts).splitlines()
    assert len(lines) == 4
    assert lines[-1].split() == ["all", "1,000", "(+0)", "1,234", "(+234)"]


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    """One column per version."""
    assert cost_parts_command(["--versions", "direct", "--hosts", "2", "--messages", "21"]) == 0
    assert "direct" in capsys.readouterr().out


def test_too_few_messages_are_refused() -> None:
    """The messages of the shorter run are subtracted."""
    with pytest.raises(OptionError, match="messages"):
        CostPartsOptions(messages=20)
