"""User code that fails randomly: validators, message ids, tracers, filters, scores and a discovery service.

Each raises an Exception or a CancelledError, or returns an invalid value, as determined by the seed. Failures on messages
depend on the message, so that they are equal in every version; other failures depend on the number of calls.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pubsub_sim.net.rendezvous import RendezvousServer
from pubsub_sim.protocol.options import HostOptions
from pubsub_sim.protocol.tracing import HOOKS, RawTracer
from pubsub_sim.protocol.validation import Validator

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import RPC
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage


class Planted(Exception):
    """The error raised by user code in a run."""


ERRORS: tuple[type[BaseException], ...] = (Planted, OSError, StopIteration, asyncio.CancelledError)


class Failing:
    """A source of random failures that can be switched on and off.

    Args:
        seed: the seed.
        share: share of failing calls.

    Attributes:
        is_on: whether calls fail.
    """

    def __init__(self, seed: int, share: float) -> None:
        self._seed = seed
        self._share = share
        self._calls: dict[str, int] = {}
        self.is_on = False

    def by_count(self, what: str) -> None:
        """Fail in some calls of this name, if switched on."""
        if self.is_on:
            self._calls[what] = count = self._calls.get(what, 0) + 1
            self._fail(f"{what}/{count}")

    def by_content(self, what: str, content: bytes) -> None:
        """Fail on some contents, if switched on."""
        if self.is_on:
            self._fail(f"{what}/{content.hex()}")

    def _fail(self, moment: str) -> None:
        rng = random.Random(f"{self._seed}/{moment}")
        if rng.random() < self._share:
            raise rng.choice(ERRORS)


class FailingTracer(RawTracer):
    """A tracer whose hooks fail randomly."""

    def __init__(self, failing: Failing, name: str) -> None:
        for hook in HOOKS:
            setattr(self, hook, self._hook(failing, f"{name}/{hook}"))

    def _hook(self, failing: Failing, name: str) -> Callable[..., None]:
        return lambda *_: failing.by_count(name)


class FailingFilter:
    """A subscription filter that allows everything or fails. Implements SubscriptionFilter."""

    def __init__(self, failing: Failing, name: str) -> None:
        self._failing = failing
        self._name = name

    def can_subscribe(self, topic: str) -> bool:
        """Return true, or fail."""
        self._failing.by_count(f"{self._name}/join")
        return True

    def filter_incoming(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> list[RPC.SubOpts]:
        """Return all subscriptions, or fail."""
        self._failing.by_count(f"{self._name}/filter")
        return list(subscriptions)


class FailingBlacklist:
    """An empty blacklist whose reading fails randomly. Implements Blacklist."""

    def __init__(self, failing: Failing, name: str) -> None:
        self._failing = failing
        self._name = name

    def add(self, peer: PeerId, /) -> bool:
        """Add nothing."""
        return False

    def __contains__(self, peer: object, /) -> bool:
        self._failing.by_count(f"{self._name}/blacklist")
        return False

    def __len__(self) -> int:
        return 1


class FailingService(RendezvousServer):
    """A discovery service with wrong or missing answers."""

    def __init__(self, failing: Failing) -> None:
        super().__init__()
        self._failing = failing

    def register(self, namespace: str, peer: PeerId) -> None:
        """Register a peer, or fail."""
        self._failing.by_count(f"register/{peer.hex()}")
        super().register(namespace, peer)

    def registered(self, namespace: str) -> tuple[PeerId, ...]:
        """Return the registered peers, or fail."""
        self._failing.by_count("registered")
        return super().registered(namespace)


def failing_options(failing: Failing, number: int) -> HostOptions:
    """Return options of one host whose functions fail randomly.

    Args:
        failing: the source of failures.
        number: number of the host.
    """
    name = f"host {number}"

    def message_id(wire: WireMessage) -> bytes:
        failing.by_content(f"{name}/id", wire.data)
        return hashlib.sha256(wire.data).digest()

    def inspect(peer: PeerId, rpc: RPC) -> bool:
        failing.by_count(f"{name}/inspect")
        return True

    return HostOptions(
        message_id=message_id,
        inspect_rpc=inspect,
        subscription_filter=FailingFilter(failing, name),
        blacklist=FailingBlacklist(failing, name),
        tracers=(FailingTracer(failing, name),),
        default_validators=(Validator(function=failing_validator(failing, f"{name}/default"), inline=True),),
    )


def failing_validator(failing: Failing, name: str, pause_s: float | None = None) -> Callable[[PeerId, Message], Any]:
    """Return a validator that accepts or fails; with a pause it is a coroutine function."""

    def judge(peer: PeerId, message: Message) -> bool:
        failing.by_content(name, message.data)
        return True

    async def judge_later(peer: PeerId, message: Message) -> bool:
        await asyncio.sleep(pause_s or 0)
        try:
            return judge(peer, message)
        except StopIteration as error:  # a coroutine cannot raise it
            raise Planted from error

    return judge if pause_s is None else judge_later


def failing_score(failing: Failing, number: int) -> Callable[[PeerId], float]:
    """Return an application's score function: it returns 0 or an invalid value, or fails."""

    def score(peer: PeerId) -> float:
        failing.by_count(f"host {number}/score")
        return 0.0

    return score


def failing_readiness(failing: Failing, name: str, data: bytes) -> Callable[[object, str], bool]:
    """Return a readiness function of one message that returns true or fails.

    It does not depend on the number of calls: versions may differ in whether a cancelled publish has called it.
    """

    def ready(router: object, topic: str) -> bool:
        failing.by_content(f"{name}/ready", data)
        return True

    return ready
