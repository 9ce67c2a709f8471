"""What raw tracers of a host are told, and when."""

from __future__ import annotations

from pubsub_sim import HostOptions, World
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.router import Acceptance
from pubsub_sim.protocol.tracing import RawTracer
from pubsub_sim.wire.message import Message
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from tests.pubsub.worlds import connect, handle, play, pub, sub, sub_all


class Notes(RawTracer):
    """Writes down the hooks it is called for."""

    def __init__(self) -> None:
        self.hooks: list[str] = []

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        self.hooks.append("add_peer")

    def remove_peer(self, peer: PeerId) -> None:
        self.hooks.append("remove_peer")

    def join(self, topic: str) -> None:
        self.hooks.append("join")

    def leave(self, topic: str) -> None:
        self.hooks.append("leave")

    def validate_message(self, message: Message) -> None:
        self.hooks.append("validate_message")

    def deliver_message(self, message: Message) -> None:
        self.hooks.append("deliver_message")

    def reject_message(self, message: WireMessage, peer: PeerId, reason: str) -> None:
        self.hooks.append("reject_message")

    def duplicate_message(self, message_id: bytes, peer: PeerId) -> None:
        self.hooks.append("duplicate_message")

    def throttle_peer(self, peer: PeerId) -> None:
        self.hooks.append("throttle_peer")

    def undeliverable_message(self, message: Message) -> None:
        self.hooks.append("undeliverable_message")

    def recv_rpc(self, peer: PeerId, rpc: RPC) -> None:
        self.hooks.append("recv_rpc")

    def send_rpc(self, peer: PeerId, frame: bytes) -> None:
        self.hooks.append("send_rpc")

    def since(self) -> list[str]:
        """What was noted since the last call."""
        noted, self.hooks = self.hooks, []
        return noted


def test_a_raw_tracer_hears_of_everything_but_messages_of_its_own_host(version: str) -> None:
    """Each hook at its place, in the order of the decisions."""
    notes = Notes()

    async def script(world: World) -> None:
        traced, other = world.pubsubs
        await sub(other)
        await connect(world, (0, 1))
        assert notes.since() == ["add_peer", "recv_rpc"]
        subscription = await sub(traced, buffer=1)
        assert notes.since() == ["send_rpc", "join"]
        await world.settle()
        await pub(traced, b"own")
        await world.settle()
        assert notes.since() == ["send_rpc"]
        await pub(other, b"one too many")
        await world.settle()
        assert notes.since() == ["recv_rpc", "validate_message", "deliver_message", "undeliverable_message"]
        await traced.register_validator("foobar", lambda peer, message: False)
        await pub(other, b"bad")
        await world.settle()
        assert notes.since() == ["recv_rpc", "validate_message", "reject_message"]
        await subscription.cancel()
        assert notes.since() == ["send_rpc", "leave"]
        await world.disconnect(0, 1)
        await world.settle()
        assert notes.since() == ["remove_peer"]

    play(version, script, options=lambda number: HostOptions(tracers=(notes,) if number == 0 else ()))


def test_a_copy_is_a_duplicate(version: str) -> None:
    """In a triangle, the copy that comes around."""
    notes = Notes()

    async def script(world: World) -> None:
        await world.connect_all()
        await sub_all(world.pubsubs)
        await world.settle()
        notes.since()
        await pub(world.pubsubs[1], b"x")
        await world.settle()
        assert notes.since().count("duplicate_message") == 1

    play(version, script, hosts=3, options=lambda number: HostOptions(tracers=(notes,) if number == 0 else ()))


def test_of_a_throttled_peer_messages_are_not_looked_at(version: str) -> None:
    """Its subscriptions are, and the tracer is told."""
    notes = Notes()

    async def script(world: World) -> None:
        traced, other = world.pubsubs
        traced.router.accept_from = lambda peer: Acceptance.CONTROL  # type: ignore[method-assign]
        await connect(world, (0, 1))
        subscription = (await sub_all(world.pubsubs))[0]
        await world.settle()
        notes.since()
        await (await handle(other, "foobar")).publish(b"x")
        await world.settle()
        assert notes.since() == ["recv_rpc", "throttle_peer"]
        assert subscription.pending == 0
        assert await traced.list_peers("foobar") == [other.peer_id]

    play(version, script, options=lambda number: HostOptions(tracers=(notes,) if number == 0 else ()))
