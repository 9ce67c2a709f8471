"""What stands below the two versions: the same work by direct calls, and by bare queues."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pubsub_sim import OptionError, World, run
from pubsub_sim.errors import HostClosed
from pubsub_sim.scenarios.play import play
from pubsub_sim.scenarios.simple_discovery import PHASES, Outcome, SimpleDiscovery
from pubsub_sim.scenarios.versions import describe_version, known_versions

YARDSTICKS = ("direct", "floor")


def played(**options: object) -> Outcome:
    entered: list[str] = []

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        entered.append(name)
        yield

    given = SimpleDiscovery(**({"hosts": 5, "messages": 3} | options))  # type: ignore[arg-type]
    outcome = run(play(given, phase), clock="virtual")
    assert tuple(entered) == PHASES
    return outcome


@pytest.mark.parametrize("sign", ["strict", "none"])
@pytest.mark.parametrize("version", YARDSTICKS)
def test_a_yardstick_does_the_work_of_the_baseline(version: str, sign: str) -> None:
    """Equal RPCs for the messages, equal RPCs in all, equal connections and deliveries: only then is a ratio to it a cost."""
    mine, other = (played(version=name, sign=sign, seed=3) for name in (version, "baseline"))
    assert mine.phases[-1].rpcs == other.phases[-1].rpcs == 3 * 4 * 4
    assert sum(phase.rpcs for phase in mine.phases) == sum(phase.rpcs for phase in other.phases)
    assert (mine.connections, mine.deliveries) == (other.connections, other.deliveries)


def test_direct_calls_deliver_where_they_are_made() -> None:
    """What makes it no contestant: a message is delivered before its publisher goes on, in no turn of the host."""

    async def main() -> None:
        async with World(1, version="direct") as world:
            topic = await world.pubsubs[0].join("t")
            subscription = await topic.subscribe()
            await topic.publish(b"x")
            assert subscription.pending == 1

    run(main(), clock="virtual")


def test_closed_host_of_direct_calls_refuses() -> None:
    """Like any other: whoever asks after the end is told so."""

    async def main() -> None:
        async with World(1, version="direct") as world:
            pubsub = world.pubsubs[0]
        with pytest.raises(HostClosed):
            await pubsub.topics()

    run(main(), clock="virtual")


def test_failing_call_ends_a_host_of_direct_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that belongs to nobody's request is the world's error, as with turns."""

    async def main() -> None:
        async with World(2, version="direct", discovery=False) as world:
            subscription = await (await world.pubsubs[1].join("t")).subscribe()

            def broken(message: object) -> bool:
                raise ZeroDivisionError

            monkeypatch.setattr(subscription, "offer", broken)
            topic = await world.pubsubs[0].join("t")
            await world.connect(0, 1)
            await world.settle()
            await topic.publish(b"x")
            await world.settle()

    with pytest.raises(ZeroDivisionError):
        run(main(), clock="virtual")


def test_floor_refuses_what_it_does_not_have() -> None:
    """It never plays something else than what was asked for."""
    with pytest.raises(OptionError, match="barrier: expected true, as the floor has no discovery"):
        played(version="floor", barrier=False)


def test_floor_is_a_version_of_the_scenario_and_of_no_world() -> None:
    """It can be measured by its name, and describes itself; a world cannot be made of it."""
    assert known_versions()[:4] == ("baseline", "states", "direct", "floor")
    assert describe_version("floor")["machines"] == []
    assert describe_version("direct")["machines"] == []
    with pytest.raises(OptionError, match="version: expected one of baseline, states, direct, got 'floor'"):
        World(2, version="floor")
