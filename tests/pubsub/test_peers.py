"""Peers come, go, are refused and are tried again: blacklists, outbound queues, back-off, with the reference's ids."""

from __future__ import annotations

import pytest

from pubsub_sim import HostOptions, HostParams, World
from pubsub_sim.node.streams import OutboundQueue
from pubsub_sim.protocol.blacklist import MapBlacklist, TimeCachedBlacklist
from pubsub_sim.protocol.params import FLOODSUB_ID, GOSSIPSUB_ID_V11, RANDOMSUB_ID
from pubsub_sim.wire.codec import encode_subscriptions
from tests.pubsub.worlds import (
    FakePeer,
    add_node,
    connect,
    dial,
    events_of,
    handle,
    key_of,
    meet,
    never,
    play,
    pub,
    sub,
    sub_all,
)

# --- blacklists --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("both", [False, True], ids=["B03 one subscribes", "B04 both subscribe"])
def test_B03_B04_blacklist(version: str, both: bool) -> None:
    """Nothing of a blacklisted peer arrives."""

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        if both:
            await sub(world.pubsubs[0])
        subscription = await sub(world.pubsubs[1])
        await world.settle()
        await world.pubsubs[1].blacklist(world.pubsubs[0].peer_id)
        await world.settle()
        await pub(world.pubsubs[0], b"message")
        await never(world, subscription, 1)
        assert await world.pubsubs[1].list_peers() == []

    play(version, script)


def test_B05_blacklist_before_connecting(version: str) -> None:
    """Whoever is blacklisted before it connects is never a peer."""

    async def script(world: World) -> None:
        await world.pubsubs[1].blacklist(world.pubsubs[0].peer_id)
        await connect(world, (0, 1))
        await sub(world.pubsubs[0])
        subscription = await sub(world.pubsubs[1])
        await world.settle()
        await pub(world.pubsubs[0], b"message")
        await never(world, subscription, 1)
        assert events_of(world, "add_peer", host=1) == []

    play(version, script)


def test_P03_removes_blacklisted_peer(version: str) -> None:
    """A peer put on the blacklist object directly is refused from then on, and the end of the world is clean."""
    blacklist = MapBlacklist()

    async def script(world: World) -> None:
        await connect(world, (0, 1))
        blacklist.add(world.pubsubs[0].peer_id)
        subscription = (await sub_all(world.pubsubs))[1]
        await world.settle()
        await pub(world.pubsubs[0], b"message")
        await never(world, subscription, 1)
        assert events_of(world, "reject_message", host=1) == ["blacklisted peer"]
        await world.pubsubs[1].blacklist(world.pubsubs[0].peer_id)
        await world.pubsubs[1].close()

    play(version, script, options=lambda number: HostOptions(blacklist=blacklist if number == 1 else None))


def test_a_blacklist_of_ones_own_takes_what_the_host_blacklists_and_may_forget(version: str) -> None:
    """A time-cached one lets a peer back in after its time, once it connects again."""
    lists: list[TimeCachedBlacklist] = []

    async def script(world: World) -> None:
        now_ns = world.clock.now_ns
        ps = add_node(world, version, options=HostOptions(blacklist=TimeCachedBlacklist(10, now_ns=lambda: now_ns())))
        lists.append(ps._core._blacklist)  # type: ignore[arg-type]
        other = world.pubsubs[0]
        await ps.blacklist(other.peer_id)
        assert other.peer_id in lists[0]
        await dial(ps, other)
        await world.settle()
        assert await ps.list_peers() == []
        await world.clock.sleep(11)
        world.network.unlink(ps._host, other._host)
        await dial(ps, other)
        await world.settle()
        assert await ps.list_peers() == [other.peer_id]

    play(version, script, hosts=1)


def test_a_peer_blacklisted_while_its_stream_opens_is_not_shown_to_the_router(version: str) -> None:
    """The stream is closed, the peer forgotten."""

    async def script(world: World) -> None:
        ps, other = world.pubsubs
        await world.connect(0, 1)
        while not ps._core.peers:
            await world.clock.sleep(0)
        ps._core._blacklist.add(other.peer_id)
        await world.settle()
        assert await ps.list_peers() == []
        assert events_of(world, "add_peer", host=0) == []

    play(version, script)


# --- outbound queues ---------------------------------------------------------------------------------------------


def test_Q01_the_33rd_frame_does_not_fit() -> None:
    """A queue whose stream is not open holds 32."""
    queue = OutboundQueue(key_of("peer").peer_id, 32, lambda queue: None)
    assert [queue.push(b"frame") for _ in range(33)] == [True] * 32 + [False]


def test_Q01_what_does_not_fit_is_traced_and_lost(version: str) -> None:
    """To a peer that does not read: what its stream and the queue hold is sent, the rest is dropped; others get all."""

    async def script(world: World) -> None:
        ps, other = world.pubsubs
        fake = FakePeer(world)
        await fake.connect(ps)
        await connect(world, (0, 1))
        subscription = await sub(other, buffer=200)
        (await fake.open(ps)).write(b"\x0a\x0a\x08\x01\x12\x06foobar")
        await world.settle()
        fake.is_reading = False
        for number in range(100):
            await pub(ps, b"%d" % number)
            await world.clock.sleep(0.001)
        dropped = len(events_of(world, "drop_rpc", host=0))
        assert 0 < dropped == len([e for e in world.trace if e.kind == "drop_rpc" and e.peer == fake.peer_id])
        fake.resume()
        await world.settle()
        got = [int(message.data) for rpc in fake.rpcs for message in rpc.publish]
        assert got == list(range(100 - dropped))
        assert subscription.pending == 100

    play(version, script)


def test_Q02_closing_lets_the_writer_finish(version: str) -> None:
    """A blacklisted peer that reads late still gets what was queued for it, and then the end of the stream."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        fake = FakePeer(world)
        await fake.connect(ps)
        (await fake.open(ps)).write(b"\x0a\x0a\x08\x01\x12\x06foobar")
        await world.settle()
        fake.is_reading = False
        for number in range(50):
            await pub(ps, b"%d" % number)
            await world.clock.sleep(0.001)
        await ps.blacklist(fake.peer_id)
        fake.resume()
        await world.settle()
        assert [int(message.data) for rpc in fake.rpcs for message in rpc.publish] == list(range(50))
        assert fake.ended_streams == fake.inbound

    play(version, script, hosts=1)


# --- dead streams ------------------------------------------------------------------------------------------------


def test_a_dead_stream_is_opened_again_with_growing_pauses_and_then_given_up(version: str) -> None:
    """0, 100 ms, 200 to 299 ms, 400 to 697 ms after each death, while the connection stays; a new connection helps."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        await sub(ps)
        fake = FakePeer(world)
        await fake.connect(ps)
        await world.settle()
        pauses = []
        for number in range(1, 5):
            died_ns = world.clock.now_ns()
            fake.inbound[-1].reset()
            while len(fake.inbound) == number:
                await world.clock.sleep(0.001)
            pauses.append((world.clock.now_ns() - died_ns) // 1_000_000)
            await world.settle()
        assert pauses[0] <= 1
        assert 100 <= pauses[1] <= 101
        assert 200 <= pauses[2] <= 300
        assert 400 <= pauses[3] <= 698
        assert fake.announced("foobar") == [True] * 5  # each time the hello came first
        assert await ps.list_peers() == [fake.peer_id]
        fake.inbound[-1].reset()
        await world.clock.sleep(30)
        assert len(fake.inbound) == 5
        assert await ps.list_peers() == []
        assert len(events_of(world, "remove_peer")) == 5

    play(version, script, hosts=1)


def test_a_peer_that_speaks_no_protocol_of_ours_is_forgotten(version: str) -> None:
    """Nothing is tried until it connects again."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        fake = FakePeer(world, protocol="/other/1")
        await fake.connect(ps)
        await world.settle()
        assert await ps.list_peers() == []
        assert events_of(world, "add_peer") == []

    play(version, script, hosts=1)


def test_a_garbled_frame_and_one_too_large_reset_the_stream(version: str) -> None:
    """And nothing else: the next stream of that peer is read."""

    async def script(world: World) -> None:
        ps = world.pubsubs[0]
        fake = FakePeer(world)
        await fake.connect(ps)
        closed: list[bytes] = []
        for frame in (b"\xff\xff\xff", bytes(1001)):
            stream = await fake.open(ps, lambda frame=frame: closed.append(frame))  # type: ignore[misc]
            stream.write(frame)
            await world.settle()
        assert closed == [b"\xff\xff\xff", bytes(1001)]
        (await fake.open(ps)).write(b"\x0a\x0a\x08\x01\x12\x06foobar")
        await world.settle()
        assert ps._core.peer_topics.list_peers("foobar") == [fake.peer_id]

    play(version, script, hosts=1, params=HostParams(max_message_bytes=1000))


def test_a_peer_leaves_all_its_topics_when_it_dies(version: str) -> None:
    """Each topic's event handlers are told."""

    async def script(world: World) -> None:
        ps, other = world.pubsubs
        handlers = [await (await handle(ps, topic)).events() for topic in ("a", "b")]
        for topic in ("a", "b"):
            await sub(other, topic)
        await connect(world, (0, 1))
        for events in handlers:
            assert (await anext(events)).joined
        await world.disconnect(0, 1)
        await world.settle()
        assert [(await anext(events)).joined for events in handlers] == [False, False]

    play(version, script)


def test_a_disconnected_peer_is_forgotten_and_found_again(version: str, transport: str) -> None:
    """Its announcements go with it and come back with its hello."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        await topics[1].subscribe()
        await meet(world)
        other = world.pubsubs[1].peer_id
        assert other in await topics[0].list_peers()
        await world.disconnect(0, 1)
        await world.settle()
        assert other not in await world.pubsubs[0].list_peers()
        assert await topics[0].list_peers() == []
        await world.connect(0, 1)
        await world.settle()
        assert await topics[0].list_peers() == [other]

    play(version, script, hosts=3, transport=transport)


def test_a_blacklisted_peer_is_neither_heard_nor_passed_on(version: str, transport: str) -> None:
    """Its messages are refused wherever they come from; the connection stays."""

    async def script(world: World) -> None:
        topics = [await ps.join("t") for ps in world.pubsubs]
        subscriptions = [await topic.subscribe() for topic in topics]
        await meet(world)
        await world.pubsubs[0].blacklist(world.pubsubs[2].peer_id)
        await world.settle()
        await topics[2].publish(b"x")
        await world.settle()
        assert [subscription.pending for subscription in subscriptions] == [0, 1, 1]
        assert world.network.connections == 3
        reasons = {event.detail for event in world.trace if event.kind == "reject_message" and event.host == 0}
        assert reasons == {"blacklisted peer", "blacklisted source"} or reasons == {"blacklisted source"}

    play(version, script, hosts=3, transport=transport)


@pytest.mark.parametrize("router", ["floodsub", "randomsub", "gossipsub"])
def test_topics_that_do_not_fit_one_hello_are_all_known(version: str, router: str) -> None:
    """Also if they take more frames than the queue to a peer holds, and to one that came before the topics."""
    names = [f"topic number {number:05}" for number in range(100)]

    async def script(world: World) -> None:
        a, b, early = world.pubsubs
        await connect(world, (0, 2))
        for name in names:
            await sub(a, name)
        await connect(world, (0, 1))
        for other in (b, early):
            assert [name for name in names if not await other.list_peers(name)] == []

    params = HostParams(max_message_bytes=400, outbound_queue_size=4, announced_frames=8)
    play(version, script, hosts=3, router=router, params=params)


@pytest.mark.parametrize("router", ["floodsub", "randomsub", "gossipsub"])
@pytest.mark.parametrize("how", ["unsubscribes", "disconnects"])
def test_a_peer_that_has_left_a_topic_is_sent_nothing_of_it(version: str, router: str, how: str) -> None:
    """By its word or with its connection, from a mesh, a fanout or a random choice; it is not sent to ten minutes later."""

    async def script(world: World) -> None:
        a = world.pubsubs[0]
        topics = [await a.join(name) for name in ("joined", "published")]
        await topics[0].subscribe()
        fake = FakePeer(world, protocol=PROTOCOLS[router])
        await fake.connect(a)
        stream = await fake.open(a)
        stream.write(encode_subscriptions(["joined", "published"], subscribe=True))
        await world.clock.sleep(3)
        for topic in topics:
            await topic.publish(b"before")
        await world.clock.sleep(3)
        assert sorted(m.topic for rpc in fake.rpcs for m in rpc.publish) == ["joined", "published"]
        if how == "unsubscribes":
            stream.write(encode_subscriptions(["joined", "published"], subscribe=False))
        else:
            world.network.disconnect(a.peer_id, fake.peer_id)
        for pause_s in (1, 600):
            await world.clock.sleep(pause_s)
            for topic in topics:
                await topic.publish(b"after")
        await world.clock.sleep(3)
        assert [m.data for rpc in fake.rpcs for m in rpc.publish] == [b"before", b"before"]
        views = (*a.router.mesh.values(), *a.router.fanout.values())
        assert not any(fake.peer_id in members for members in views)

    play(version, script, hosts=1, router=router)


PROTOCOLS = {"floodsub": FLOODSUB_ID, "randomsub": RANDOMSUB_ID, "gossipsub": GOSSIPSUB_ID_V11}
