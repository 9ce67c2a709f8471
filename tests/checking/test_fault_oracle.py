"""What the oracle of fault runs excuses, and what not: traces of three hosts, written by hand."""

from __future__ import annotations

import re

import pytest

from pubsub_sim.checking.fault_oracle import Evidence, Life, judge
from pubsub_sim.ids import PeerId
from pubsub_sim.wire.codec import encode_subscriptions
from pubsub_sim.wire.message import Message, outgoing
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.signing import KeyPair
from pubsub_sim.world.trace import TraceEvent

KEYS = [KeyPair(bytes([number]) * 32) for number in range(3)]
IDS = [key.peer_id for key in KEYS]
WIRE = outgoing("t", b"data", author=IDS[0], seqno=bytes(8))
KEYS[0].sign(WIRE)
MESSAGE = Message(WIRE, IDS[0], source=IDS[0], seqno=bytes(8), topic="t", id=IDS[0] + bytes(8))
FRAME = RPC(publish=[WIRE]).SerializeToString()
HELLO = encode_subscriptions(["t"], subscribe=True)


def at(time_ns: int, host: int, kind: str, peer: int | None = None, detail: bytes | str = "") -> TraceEvent:
    return TraceEvent(time_ns, host, kind, b"" if peer is None else IDS[peer], detail)


def met(a: int, b: int) -> list[TraceEvent]:
    """Two hosts are connected and know each other."""
    known = [at(0, a, "connect", b)]
    for one, other in ((a, b), (b, a)):
        known += [at(0, one, "add_peer", other, "/p"), at(0, one, "recv_rpc", other, HELLO)]
    return known


PUBLISHED = [at(1, 0, "publish_message", None, MESSAGE.id), at(1, 0, "deliver_message", 0, MESSAGE.id)]
SENT = [*PUBLISHED, at(1, 0, "send_rpc", 1, FRAME)]
HANDLED = [*SENT, at(2, 1, "recv_rpc", 0, FRAME)]
DELIVERED = [*HANDLED, at(2, 1, "deliver_message", 0, MESSAGE.id)]
CUT = at(3, 1, "disconnect", 0)
GONE = [at(3, 0, "remove_peer", 1), at(3, 1, "remove_peer", 0)]
OTHER_ID = IDS[0] + b"other by"
OTHER = RPC(publish=[outgoing("t", b"other", author=IDS[0], seqno=b"other by")]).SerializeToString()


def verdict(*events: TraceEvent, reads: dict[int, list[Message]] | None = None, router: str = "floodsub") -> list[str]:
    joined = [at(0, number, "join", None, "t") for number in range(3)]
    trace = [*joined, *met(0, 1), *events]
    lives = [Life(number, 0, messages) for number, messages in (reads or {}).items()]
    return judge(
        Evidence(
            router=router, peer_ids=IDS, trace=trace, authors={b"data": 0}, published=[b"data"], last=[], lives=lives
        )
    )


def test_a_message_that_took_its_way_is_well() -> None:
    """Published, sent, handled, delivered and read."""
    assert verdict(*DELIVERED, reads={0: [MESSAGE], 1: [MESSAGE]}) == []


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        (PUBLISHED[:1], "host 0 published message .* and did not deliver it"),
        (PUBLISHED, "host 0 delivered message .* and did not send it to host 1"),
        (SENT, "host 0 sent host 1 an RPC .*: never handled"),
        ([*SENT, *GONE], "never handled"),
        ([*SENT, at(1, 0, "send_rpc", 1, OTHER), at(2, 1, "recv_rpc", 0, OTHER)], "not handled before what came"),
        ([*SENT, at(2, 1, "recv_rpc", 0, OTHER)], "host 1 handled an RPC .* that host 0 did not send"),
        ([*DELIVERED, at(3, 1, "recv_rpc", 0, FRAME)], "that host 0 did not send"),
        (HANDLED, "host 1 was sent by host 0 message .* and did not deliver it"),
        ([*HANDLED, at(3, 1, "crash")], "did not deliver it"),
        ([*DELIVERED, at(3, 1, "deliver_message", 0, MESSAGE.id)], "host 1 delivered message .* twice"),
        ([*DELIVERED, at(3, 1, "undeliverable_message", 0, MESSAGE.id)], "host 1 had no room for message"),
        ([*PUBLISHED, at(1, 0, "lose_rpc", 1, FRAME)], "the network lost an RPC .* that host 0 did not send"),
        ([*DELIVERED, GONE[0]], "host 0 is connected with host 1 and has no stream to it after the faults"),
    ],
)
def test_a_step_without_a_cause_is_no_excuse(events: list[TraceEvent], sentence: str) -> None:
    """And the sentence says which step of whose."""
    assert any(re.search(sentence, line) for line in verdict(*events))


@pytest.mark.parametrize(
    "events",
    [
        [*PUBLISHED, at(1, 0, "drop_rpc", 1, FRAME)],
        [*SENT, at(2, 0, "lose_rpc", 1, FRAME)],
        [*SENT, CUT, *GONE],
        [CUT, *SENT, *GONE],
        [*SENT, CUT, *GONE, *met(0, 1), at(5, 0, "send_rpc", 1, OTHER), at(6, 1, "recv_rpc", 0, OTHER)],
        [*HANDLED, at(2, 1, "crash"), CUT, GONE[0]],
        [*HANDLED, at(2, 1, "reject_message", 0, "validation queue full")],
        [at(1, 0, "publish_message", None, MESSAGE.id), at(1, 0, "crash"), CUT, GONE[1]],
    ],
    ids=[
        "full queue",
        "lost",
        "cut",
        "sent when cut",
        "cut and met again",
        "crash",
        "full validation",
        "crash at birth",
    ],
)
def test_what_a_fault_or_a_full_queue_took_is_excused(events: list[TraceEvent]) -> None:
    """As long as the trace has the cause."""
    own = [at(7, 1, "deliver_message", 0, OTHER_ID)] if any(e.detail == OTHER for e in events) else []
    assert verdict(*events, *own) == []


def test_gossipsub_must_send_to_its_mesh_and_nobody_else() -> None:
    """Peers outside hear of the message, and may ask for it."""
    assert verdict(*PUBLISHED, router="gossipsub") == []
    grafted = at(0, 0, "graft", 1, "t")
    assert "did not send it to host 1" in verdict(grafted, *PUBLISHED, router="gossipsub")[0]
    assert verdict(grafted, at(0, 0, "prune", 1, "t"), *PUBLISHED, router="gossipsub") == []


def test_a_host_does_not_owe_what_it_wrote_in_a_former_life() -> None:
    """It refuses it as its own, as the reference does."""
    events = [*DELIVERED, at(3, 0, "crash"), CUT, *GONE, at(4, 0, "join", None, "t"), *met(1, 0)]
    again = [at(5, 1, "send_rpc", 0, FRAME), at(6, 0, "recv_rpc", 1, FRAME)]
    assert verdict(*events, *again) == []


def copy(**changes: object) -> Message:
    wire = outgoing("t", b"data", author=PeerId(IDS[0]), seqno=bytes(8))
    wire.signature = WIRE.signature
    for name, value in changes.items():
        setattr(wire, name, value)
    return Message(wire, IDS[0], source=IDS[0], seqno=bytes(8), topic="t", id=MESSAGE.id)


@pytest.mark.parametrize(
    ("reads", "sentence"),
    [
        ({0: [MESSAGE], 1: [MESSAGE, MESSAGE]}, "host 1 in life 0 read a message twice"),
        ({0: [MESSAGE], 1: []}, "host 1 in life 0 delivered 1 messages and read 0"),
        ({0: [MESSAGE], 1: [copy(data=b"datA")]}, "host 1 in life 0 read message .* otherwise than others"),
        ({0: [copy(data=b"datA")]}, "host 0 in life 0 read message .*, not as it was published"),
        ({0: [copy(signature=bytes(64))]}, "not as it was published"),
        ({0: [copy(signature=b"")]}, "not as it was published"),
    ],
)
def test_what_was_read_must_be_what_was_published(reads: dict[int, list[Message]], sentence: str) -> None:
    """Once, in order, byte for byte, by its author."""
    assert any(re.search(sentence, line) for line in verdict(*DELIVERED, reads=reads))
