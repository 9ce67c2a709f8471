"""The known defects of the first state-machine rewrite of go-libp2p-pubsub: each is shown to be absent, in both versions.

X1 to X9, in the order of how plausible each is as the cause of a failed run.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from pubsub_sim import HostOptions, World, min_topic_size
from pubsub_sim.errors import DialError, HostClosed
from pubsub_sim.ids import PeerId
from pubsub_sim.node.driver import Driver
from pubsub_sim.protocol.operations import Eval, GetTopics, PeerNewStream
from pubsub_sim.wire.message import Message
from pubsub_sim.wire.rpc_pb2 import RPC
from tests.pubsub.worlds import (
    FakePeer,
    add_node,
    connect,
    events_of,
    handle,
    key_of,
    play,
    pub,
    receive,
    sub,
    sub_all,
    subscriptions,
)


def test_X1_nothing_posted_to_a_busy_host_is_left_lying(version: str) -> None:
    """Whatever is posted while the host is at work, or just as it stops, gets its turn without a nudge."""

    async def script(world: World) -> None:
        driver = world.pubsubs[0]._driver
        loop = asyncio.get_running_loop()
        taken: list[int] = []
        for number in range(300):
            # from inside a turn, from callbacks one to three rounds later, and from an answer
            driver.submit(Eval(lambda n=number: driver.submit(Eval(lambda: taken.append(n), "inner")), "outer"))
            loop.call_soon(lambda n=number: driver.submit(Eval(lambda: taken.append(n), "next round")))
            loop.call_soon(
                lambda n=number: loop.call_soon(lambda: driver.submit(Eval(lambda: taken.append(n), "later round")))
            )
            assert await driver.ask(GetTopics()) == []
            answered = await driver.ask(Eval(lambda n=number: n, "answer"))
            driver.submit(Eval(lambda n=answered: taken.append(n), "after an answer"))
            if number % 3 == 0:
                await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        assert driver.is_idle
        assert sorted(taken) == sorted([*range(300)] * 4)

    play(version, script, hosts=1)


def test_X1_nothing_posted_while_rpcs_are_handled_is_left_lying(version: str) -> None:
    """The last step of a turn; nothing else happens at that host afterwards."""
    taken: list[int] = []
    drivers: list[Driver] = []

    def inspect(peer: PeerId, rpc: RPC) -> bool:
        drivers[0].submit(Eval(lambda: taken.append(len(taken)), "from an RPC"))
        return True

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        drivers.append(ps._driver)
        fake = FakePeer(world)
        await fake.connect(ps)
        stream = await fake.open(ps)
        for number in range(20):
            stream.write(subscriptions(f"t{number}"))
            await world.clock.sleep(1)
            assert taken == list(range(number + 1))

    play(version, script, hosts=1, options=HostOptions(inspect_rpc=inspect))


def test_X1_messages_handed_over_in_a_turn_are_published_in_it(version: str) -> None:
    """Unvalidated messages of one RPC burst are all delivered, and the host stops for none."""

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        subscription = await sub(world.pubsubs[1], buffer=1000)
        await world.settle()
        await asyncio.gather(*[pub(world.pubsubs[0], b"%d" % number) for number in range(200)])
        await world.settle()
        dropped = len(events_of(world, "drop_rpc", host=0))
        assert subscription.pending == 200 - dropped

    play(version, script, sign="none")


TURNS = {"_turn", "eval", "eval_soon"}  # a host's turn, or a function between two transitions of its machine


class Owned(dict[Any, Any]):
    """A table that notes who touches it outside a turn of its host."""

    def __init__(self, table: dict[Any, Any], strangers: set[str]) -> None:
        super().__init__(table)
        self._strangers = strangers

    def _check(self) -> None:
        frame = sys._getframe(2)
        names = []
        while frame is not None:
            if frame.f_code.co_name in TURNS:
                return
            names.append(frame.f_code.co_name)
            frame = frame.f_back  # type: ignore[assignment]
        self._strangers.add(" < ".join(names[:4]))

    def __getitem__(self, key: Any) -> Any:
        self._check()
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._check()
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        self._check()
        super().__delitem__(key)

    def __iter__(self) -> Any:
        self._check()
        return super().__iter__()

    def __contains__(self, key: object) -> bool:
        self._check()
        return super().__contains__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        self._check()
        return super().get(key, default)

    def items(self) -> Any:
        self._check()
        return super().items()


def test_X2_a_hosts_tables_are_touched_in_its_turns_only(version: str) -> None:
    """Announcements, looks for peers, readiness and forwarding included."""
    strangers: set[str] = set()

    async def script(world: World) -> None:
        for ps in world.pubsubs:
            core = ps._core
            core.peers = core.peer_streams._outboxes = core.announcer._peers = Owned(core.peers, strangers)
            core.topics = core.peer_topics.topics = Owned(core.topics, strangers)
            core.local_topics.handles = Owned(core.local_topics.handles, strangers)
            core.local_topics.subscriptions = core._subscriptions = Owned(core.local_topics.subscriptions, strangers)
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscribed = [await topic.subscribe() for topic in topics]
        stop = await topics[0].relay()
        await topics[0].publish(b"x", ready=min_topic_size(4))
        for subscription in subscribed:
            await subscription.next()
        await stop()
        await subscribed[0].cancel()
        await world.disconnect(0, 1)
        await world.pubsubs[0].blacklist(world.pubsubs[2].peer_id)
        await world.clock.sleep(5)
        await world.pubsubs[3].list_peers("t")
        await world.settle()

    play(version, script, hosts=5, discovery=True)
    assert strangers == set()


def test_X2_an_announcement_is_complete_when_its_subscription_is(version: str) -> None:
    """No task walks over the peers afterwards, so none can meet a queue that was closed meanwhile."""

    async def script(world: World) -> None:
        await world.connect_all()
        await world.settle()
        world.trace.clear()
        await sub(world.pubsubs[0])
        assert len(events_of(world, "send_rpc", host=0)) == 4
        await asyncio.gather(*(world.pubsubs[0].blacklist(ps.peer_id) for ps in world.pubsubs[1:]))
        await world.settle()

    play(version, script, hosts=5)


def test_X3_as_many_waits_end_as_were_begun(version: str) -> None:
    """Messages validated at once are all delivered; local publishes at once all return."""

    async def slow(peer: PeerId, message: Message) -> bool:
        await asyncio.sleep(0.01 * (int(message.data) % 7))
        return True

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        for ps in world.pubsubs:
            await ps.register_validator("foobar", slow)
        subscribed = [await sub(ps, buffer=100) for ps in world.pubsubs]
        await world.settle()
        async with asyncio.timeout(5):
            await asyncio.gather(*(pub(world.pubsubs[n % 2], b"%d" % n) for n in range(30)))
        await world.settle()
        for subscription in subscribed:
            assert {int((await subscription.next()).data) for _ in range(subscription.pending)} == set(range(30))

    play(version, script)


def test_X3_two_topics_bootstrapped_at_once_both_complete(version: str) -> None:
    """Neither wait takes the place of the other."""

    async def script(world: World) -> None:
        publisher, reader = world.pubsubs
        readers = [await sub(reader, topic) for topic in ("a", "b")]
        topics = [await handle(publisher, topic) for topic in ("a", "b")]
        async with asyncio.timeout(5):
            await asyncio.gather(*(topic.publish(b"x", ready=min_topic_size(1)) for topic in topics))
        for subscription in readers:
            await receive(subscription, b"x")

    play(version, script, discovery=True)


def test_X4_every_request_is_answered_however_many_wait(version: str) -> None:
    """More than a machine's queue holds."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        async with asyncio.timeout(5):
            topics = await asyncio.gather(*(ps.join(f"t{number}") for number in range(1500)))
            subscribed = await asyncio.gather(*(topic.subscribe() for topic in topics))
            assert len(await ps.topics()) == 1500
            await asyncio.gather(*(subscription.cancel() for subscription in subscribed * 2))
            await asyncio.gather(*(topic.close() for topic in topics))
        assert await ps.topics() == []

    play(version, script, hosts=1)


def test_X4_requests_of_a_host_that_closes_are_refused(version: str) -> None:
    """Those that wait, and those that come later; nobody hangs."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        waiting = [asyncio.create_task(ps.join(f"t{number}")) for number in range(10)]
        await asyncio.sleep(0)
        await ps.close()
        async with asyncio.timeout(5):
            answers = await asyncio.gather(*waiting, ps.join("late"), return_exceptions=True)
        assert isinstance(answers[-1], HostClosed)
        assert all(isinstance(answer, HostClosed) or str(answer).startswith("t") for answer in answers)

    play(version, script, hosts=1)


def test_X5_an_abandoned_bootstrap_is_in_nobodys_way(version: str) -> None:
    """A publisher that gives up, at whatever step of its wait, leaves the topic free for the next."""

    async def script(world: World) -> None:
        topic = await handle(world.pubsubs[0], "t")
        for step in range(12):
            waiting = asyncio.create_task(topic.publish(b"never", ready=min_topic_size(1)))
            await world.clock.sleep(0.02 * step)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        waits = world.clock.waits
        await world.clock.sleep(5)
        assert world.clock.waits == waits  # nobody waits any more
        subscription = await sub(world.pubsubs[1], "t")
        async with asyncio.timeout(5):
            await topic.publish(b"x", ready=min_topic_size(1))
        await receive(subscription, b"x")

    play(version, script, discovery=True)


def test_X5_a_failed_look_for_peers_does_not_end_a_bootstrap(version: str) -> None:
    """The next check follows after 100 ms, as if nobody had been found."""

    class Failing:
        failures = 0

        async def advertise(self, namespace: str) -> float:
            return 1000.0

        async def find_peers(self, namespace: str) -> Sequence[PeerId]:
            self.failures += 1
            raise DialError("service", "down")

    async def script(world: World) -> None:
        service = Failing()
        ps = add_node(world, version, rendezvous=service)
        topic = await handle(ps, "t")
        publishing = asyncio.create_task(topic.publish(b"x", ready=min_topic_size(1)))
        await world.clock.sleep(0.95)
        assert service.failures >= 9
        subscription = await sub(world.pubsubs[0], "t")
        await ps._host.connect(world.pubsubs[0].peer_id)
        await world.clock.sleep(0.15)
        assert publishing.done()
        await receive(subscription, b"x")

    play(version, script, hosts=1)


def test_X6_one_bootstrap_per_publish_each_ends_once(version: str) -> None:
    """Overlapping and following each other on one topic, each waits for what it asked for, and nothing is left."""

    async def script(world: World) -> None:
        publisher, *others = world.pubsubs
        topic = await handle(publisher, "t")
        waits = [asyncio.create_task(topic.publish(b"%d" % n, ready=min_topic_size(n))) for n in (3, 1, 2, 1, 3, 2)]
        for there, other in enumerate(others, start=1):
            await sub(other, "t")
            await world.clock.sleep(30)
            assert [wait.done() for wait in waits] == [n <= there for n in (3, 1, 2, 1, 3, 2)]
        for number in range(20):
            await topic.publish(b"again %d" % number, ready=min_topic_size(3))
        assert publisher._discovery is not None
        await world.settle()
        assert publisher._discovery.is_idle
        machine = getattr(publisher._discovery, "machine", None)
        assert machine is None or "BootstrappingTopic" not in machine.active_states()

    play(version, script, hosts=4, discovery=True)


def test_X7_subscribing_and_bootstrapping_at_once_do_not_wait_for_each_other(version: str) -> None:
    """On one host, in any order, within one check."""

    async def script(world: World) -> None:
        readers = [await sub(ps, "wanted") for ps in world.pubsubs[1:]]
        await world.settle()
        before_ns = world.clock.now_ns()
        ps = world.pubsubs[0]
        wanted = await handle(ps, "wanted")
        async with asyncio.timeout(1):
            await asyncio.gather(
                *(sub(ps, f"t{number}") for number in range(10)),
                wanted.publish(b"x", ready=min_topic_size(2)),
                *(sub(ps, f"u{number}") for number in range(10)),
                wanted.subscribe(),
            )
        assert world.clock.now_ns() - before_ns <= 200_000_000
        for subscription in readers:
            await receive(subscription, b"x")

    play(version, script, hosts=3, discovery=True)


class CountingOutbox:
    """An outbound queue that counts how often it is closed."""

    closed = 0

    def push(self, frame: bytes) -> bool:
        return True

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("is_blacklisted", [False, True])
def test_X8_a_stream_of_an_unknown_or_blacklisted_peer_is_not_shown_to_the_router(
    version: str, is_blacklisted: bool
) -> None:
    """It is closed, once, and the host goes on."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        stranger = key_of("stranger").peer_id
        if is_blacklisted:
            await ps.blacklist(stranger)
        outbox = CountingOutbox()
        ps._driver.submit(PeerNewStream(stranger, "/floodsub/1.0.0", outbox))  # type: ignore[arg-type]
        await world.settle()
        assert (outbox.closed, await ps.list_peers(), events_of(world, "add_peer")) == (1, [], [])

    play(version, script, hosts=1)


def test_X9_the_end_of_an_inbound_stream_is_noted(version: str) -> None:
    """Closed by the peer, reset, or gone with the connection: no entry is left."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        fake = FakePeer(world)
        await fake.connect(ps)
        for end in ("close", "reset"):
            stream = await fake.open(ps)
            assert list(ps._core.peer_streams._inbound) == [fake.peer_id]
            getattr(stream, end)()
            await world.settle()
            assert ps._core.peer_streams._inbound == {}
        await connect(world, (0, 1))
        await sub_all(world.pubsubs)
        await world.settle()
        assert list(ps._core.peer_streams._inbound) == [world.pubsubs[1].peer_id]
        await world.disconnect(0, 1)
        await world.settle()
        assert ps._core.peer_streams._inbound == {}

    play(version, script)
