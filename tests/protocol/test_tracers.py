"""Several tracers at once, and who is told what."""

from __future__ import annotations

import inspect

import pytest

from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.tracing import RawTracer, Tracers
from pubsub_sim.wire.message import Message, outgoing
from pubsub_sim.wire.rpc_pb2 import RPC

OWN, PEER = PeerId(b"own"), PeerId(b"peer")
HOOKS = [name for name in vars(RawTracer) if not name.startswith("_")]


class Notes(RawTracer):
    """Notes in one list which hook of which tracer was called with what."""

    def __init__(self, log: list[tuple[object, ...]], name: str) -> None:
        for hook in HOOKS:
            setattr(self, hook, lambda *args, _hook=hook: log.append((name, _hook, *args)))

    add_peer = remove_peer = join = leave = graft = prune = lambda self, *args: None  # overridden: to be called
    publish_message = validate_message = deliver_message = reject_message = lambda self, *args: None
    duplicate_message = throttle_peer = undeliverable_message = lambda self, *args: None
    recv_rpc = send_rpc = drop_rpc = lambda self, *args: None


def message_from(peer: PeerId) -> Message:
    wire = outgoing("t", b"data", author=peer, seqno=b"\0" * 8)
    return Message(wire, peer, source=peer, seqno=b"\0" * 8, topic="t", id=b"id")


def arguments_of(hook: str, peer: PeerId) -> tuple[object, ...]:
    message = message_from(peer)
    return {
        "add_peer": (peer, "/p"),
        "remove_peer": (peer,),
        "join": ("t",),
        "leave": ("t",),
        "graft": (peer, "t"),
        "prune": (peer, "t"),
        "publish_message": (message,),
        "validate_message": (message,),
        "deliver_message": (message,),
        "reject_message": (message.wire, peer, "validation failed"),
        "duplicate_message": (message.id, peer),
        "throttle_peer": (peer,),
        "undeliverable_message": (message,),
        "recv_rpc": (peer, RPC()),
        "send_rpc": (peer, b"frame"),
        "drop_rpc": (peer, b"frame"),
    }[hook]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_reaches_every_tracer_with_its_arguments(hook: str) -> None:
    """Judges first, each in the order given."""
    log: list[tuple[object, ...]] = []
    tracers = Tracers(OWN, watchers=[Notes(log, "w1"), Notes(log, "w2")], evaluators=[Notes(log, "j")])
    arguments = arguments_of(hook, PEER)
    getattr(tracers, hook)(*arguments)
    assert log == [(name, hook, *arguments) for name in ("j", "w1", "w2")]


@pytest.mark.parametrize("hook", HOOKS)
def test_judges_are_not_told_of_our_own_messages(hook: str) -> None:
    """Only validate, deliver, reject and duplicate are kept from them; watchers are told."""
    log: list[tuple[object, ...]] = []
    getattr(Tracers(OWN, watchers=[Notes(log, "w")], evaluators=[Notes(log, "j")]), hook)(*arguments_of(hook, OWN))
    is_kept = hook in {"validate_message", "deliver_message", "reject_message", "duplicate_message"}
    assert [entry[0] for entry in log] == (["w"] if is_kept else ["j", "w"])


@pytest.mark.parametrize("hook", HOOKS)
def test_the_fan_out_has_every_hook_with_the_same_parameters(hook: str) -> None:
    """A hook added to the base cannot be forgotten here."""
    assert hook in vars(Tracers)
    assert inspect.signature(getattr(Tracers, hook)) == inspect.signature(getattr(RawTracer, hook))
