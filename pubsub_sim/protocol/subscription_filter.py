"""Subscription filters: the topics we may join, and the subscriptions of a peer that are noted.

Without a filter a peer can fill our tables with topics nobody wants. Source: go-libp2p-pubsub (May 2024),
`subscription_filter.go`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from pubsub_sim.checks import check_whole
from pubsub_sim.errors import OptionError, TooManySubscriptions

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.rpc_pb2 import RPC


class SubscriptionFilter(Protocol):
    """What a host asks before it joins a topic or notes that a peer did."""

    def can_subscribe(self, topic: str) -> bool:
        """Whether we may join a topic."""

    def filter_incoming(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> list[RPC.SubOpts]:
        """Those of a peer's subscriptions to take note of.

        Raises:
            TooManySubscriptions: the whole RPC is to be dropped.
        """


class AllowlistFilter:
    """Only these topics.

    Args:
        topics: their names.
    """

    def __init__(self, topics: Iterable[str]) -> None:
        if isinstance(topics, str):
            raise OptionError("topics", topics, "several topics, not one text")
        self._topics = frozenset(topics)

    def can_subscribe(self, topic: str) -> bool:
        """Allow a topic that is in the list."""
        return topic in self._topics

    def filter_incoming(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> list[RPC.SubOpts]:
        """Keep the subscriptions the filter agrees to; never raises."""
        return filter_subscriptions(subscriptions, self.can_subscribe)


class RegexpFilter:
    """Only topics in which a pattern is found, anywhere unless it is anchored.

    Args:
        pattern: a regular expression.

    Raises:
        OptionError: it is none.
    """

    def __init__(self, pattern: str | re.Pattern[str]) -> None:
        try:
            self._search = re.compile(pattern).search
        except re.error as error:
            raise OptionError("pattern", pattern, f"a regular expression ({error})") from None

    def can_subscribe(self, topic: str) -> bool:
        """Allow a topic in which the pattern is found."""
        return self._search(topic) is not None

    def filter_incoming(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> list[RPC.SubOpts]:
        """Keep the subscriptions the filter agrees to; never raises."""
        return filter_subscriptions(subscriptions, self.can_subscribe)


class LimitFilter:
    """Another filter, and no more than so many subscriptions in one RPC.

    Args:
        inner: the other filter.
        limit: most subscriptions, those that are filtered out included.
    """

    def __init__(self, inner: SubscriptionFilter, limit: int) -> None:
        self._inner = inner
        self._limit = check_whole("limit", limit, at_least=1)

    def can_subscribe(self, topic: str) -> bool:
        """Ask the inner filter."""
        return self._inner.can_subscribe(topic)

    def filter_incoming(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> list[RPC.SubOpts]:
        """Refuse an RPC over the limit, else ask the inner filter."""
        if len(subscriptions) > self._limit:
            raise TooManySubscriptions(len(subscriptions), self._limit)
        return self._inner.filter_incoming(peer, subscriptions)


def filter_subscriptions(subscriptions: Iterable[RPC.SubOpts], is_allowed: Callable[[str], bool]) -> list[RPC.SubOpts]:
    """Allowed subscriptions, each topic at most once, in the order of the RPC.

    The same wish twice counts once; opposite wishes cancel out, so that a third one counts again.

    Source: go-libp2p-pubsub `FilterSubscriptions`.
    """
    accepted: dict[str, RPC.SubOpts] = {}
    for option in subscriptions:
        topic = option.topicid
        if not is_allowed(topic):
            continue
        earlier = accepted.get(topic)
        if earlier is None:
            accepted[topic] = option
        elif earlier.subscribe != option.subscribe:
            del accepted[topic]
    return list(accepted.values())
