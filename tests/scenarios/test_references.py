"""What stands below the two versions: the same work by direct calls, and by bare queues."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from pubsub_sim import OptionError, World, run
from pubsub_sim.errors import HostClosed
from pubsub_sim.net.sockets import Sockets
from pubsub_sim.net.tcp_frames import prefix
from pubsub_sim.scenarios.lower_bound_links import Connection
from pubsub_sim.scenarios.play import play
from pubsub_sim.scenarios.simple_discovery import PHASES, Outcome, SimpleDiscovery
from pubsub_sim.scenarios.versions import describe_version, known_versions

REFERENCES = ("direct", "lower-bound")


class Taker:
    """A host that keeps what it gets."""

    peer_id = b"taker"

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, bytes]] = []

    def linked(self, peer: bytes, send: Callable[[bytes], None]) -> None:
        raise AssertionError("its connection knew the peer from the beginning")

    def take(self, sender: bytes, frame: bytes) -> None:
        self.frames.append((sender, frame))


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
@pytest.mark.parametrize("version", REFERENCES)
def test_a_reference_does_the_work_of_the_baseline(version: str, sign: str) -> None:
    """Equal RPCs for the messages, equal RPCs in all, equal connections and deliveries: only then is a ratio to it a cost."""
    mine, other = (played(version=name, sign=sign, seed=3) for name in (version, "baseline"))
    assert mine.phases[-1].rpcs == other.phases[-1].rpcs == 3 * 4 * 4
    assert sum(phase.rpcs for phase in mine.phases) == sum(phase.rpcs for phase in other.phases)
    assert (mine.connections, mine.deliveries) == (other.connections, other.deliveries)


@pytest.mark.parametrize("sign", ["strict", "none"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("version", REFERENCES)
def test_a_reference_does_the_work_over_sockets(version: str, loop: str, sign: str) -> None:
    """Equal connections and deliveries; each host that hears a message from a third one first saves one RPC, so at most as many."""
    given = SimpleDiscovery(version=version, hosts=5, messages=10, sign=sign, transport="tcp")
    outcome = run(play(given, lambda _: nullcontext()), loop=loop)
    assert (outcome.connections, outcome.deliveries) == (5 * 4 // 2, 5 * (10 + 1))
    most = 10 * 4 * 4
    assert most - 10 * 4 <= outcome.phases[-1].rpcs <= most


def test_floor_over_sockets_leaves_none_open() -> None:
    """Neither a listening nor a connected one."""

    async def main() -> None:
        given = SimpleDiscovery(version="lower-bound", hosts=3, messages=1, transport="tcp")
        await play(given, lambda _: nullcontext())

    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    run(main(), loop="asyncio")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 10_000])
def test_floor_cuts_frames_out_of_bytes_in_any_pieces(size: int) -> None:
    """Lengths of one, two and three bytes, cut anywhere."""
    frames = [b"a", b"b" * 127, b"c" * 128, b"d" * 16_383, b"e" * 16_384, b"", b"f" * 40_000]
    host = Taker()
    connection = Connection(host, Sockets(), [], b"peer")
    data = b"".join(prefix(len(frame)) + frame for frame in frames)
    for start in range(0, len(data), size):
        connection.data_received(data[start : start + size])
    assert host.frames == [(b"peer", frame) for frame in frames]


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


def test_lower_bound_refuses_what_it_does_not_have() -> None:
    """It never plays something else than what was asked for."""
    with pytest.raises(OptionError, match=r"barrier=False .* version='lower-bound'"):
        played(version="lower-bound", barrier=False)
    with pytest.raises(OptionError, match=r"transport='tcp' .* clock='virtual'"):
        played(version="lower-bound", transport="tcp")


def test_lower_bound_is_a_version_of_the_scenario_and_of_no_world() -> None:
    """It can be measured by its name, and describes itself; a world cannot be made of it."""
    assert known_versions()[:5] == ("baseline", "states", "direct", "states-rpc", "lower-bound")
    assert describe_version("lower-bound")["machines"] == []
    assert SimpleDiscovery(version="floor", hosts=2, messages=1).version == "lower-bound"
    assert describe_version("direct")["machines"] == []
    with pytest.raises(
        OptionError, match="version: expected one of baseline, states, direct, states-rpc, got 'lower-bound'"
    ):
        World(2, version="lower-bound")
