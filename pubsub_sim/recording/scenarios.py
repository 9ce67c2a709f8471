"""Scenarios by name, played on the running loop in worlds created by the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pubsub_sim.scenarios.one_message import OneMessage, publish_one_message
from pubsub_sim.scenarios.simple_discovery import SimpleDiscovery, go_on, simple_discovery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pubsub_sim.scenarios.simple_discovery import MakeWorld, Observe


class Wanted(Protocol):
    """The options of a scenario; unsupported ones must keep their defaults."""

    @property
    def version(self) -> str:
        """Version of the control flow."""

    @property
    def hosts(self) -> int:
        """Number of hosts."""

    @property
    def messages(self) -> int:
        """Number of messages."""

    @property
    def router(self) -> str:
        """The router."""

    @property
    def transport(self) -> str:
        """The transport."""

    @property
    def sign(self) -> str:
        """The signature policy."""

    @property
    def seed(self) -> int:
        """The seed."""


@dataclass(frozen=True)
class Scenario:
    """A scenario.

    Attributes:
        summary: one-line description.
        check: raises OptionError for unsupported options.
        play: plays it and returns the messages read from subscriptions.
        ignored: unsupported names of `Wanted`.
    """

    summary: str
    check: Callable[[Wanted], object]
    play: Callable[[Wanted, Observe, MakeWorld], Awaitable[int]]
    ignored: tuple[str, ...] = ()


def _simple_discovery(wanted: Wanted) -> SimpleDiscovery:
    return SimpleDiscovery(
        version=wanted.version,
        hosts=wanted.hosts,
        messages=wanted.messages,
        router=wanted.router,
        transport=wanted.transport,
        sign=wanted.sign,
        seed=wanted.seed,
    )


async def _play_simple_discovery(wanted: Wanted, phase: Observe, make_world: MakeWorld) -> int:
    outcome = await simple_discovery(_simple_discovery(wanted), phase, go_on, make_world)
    return outcome.deliveries


def _one_message(wanted: Wanted) -> OneMessage:
    return OneMessage(version=wanted.version, hosts=wanted.hosts, sign=wanted.sign, seed=wanted.seed)


async def _play_one_message(wanted: Wanted, phase: Observe, make_world: MakeWorld) -> int:
    return await publish_one_message(_one_message(wanted), phase, make_world)


SCENARIOS = {
    "simple_discovery": Scenario(
        "hosts find each other, then random ones publish (TestSimpleDiscovery)",
        _simple_discovery,
        _play_simple_discovery,
    ),
    "one_message": Scenario(
        "hosts that are connected, one of which publishes once",
        _one_message,
        _play_one_message,
        ignored=("messages", "router", "transport"),
    ),
}
"""All scenarios by name."""
