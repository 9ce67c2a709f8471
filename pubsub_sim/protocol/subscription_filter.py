"""Subscription filters: the topics a host may join, and the subscriptions of a peer that are stored.

Without a filter, a peer can fill the tables with unused topics. Source: go-libp2p-pubsub (May 2024),
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
    """A filter called before a host joins a topic or stores a peer's subscription."""

    def can_subscribe(self, topic: str) -> bool:
        """Return whether the host may join a topic."""

    def filter_incoming(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> list[RPC.SubOpts]:
        """Return the subscriptions of a peer to store.

        Raises:
            TooManySubscriptions: the whole RPC must be dropped.
        """


class AllowlistFilter:
    """A filter that allows only the given topics.

    Args:
        topics: their names.
    """

    def __init__(self, topics: Iterable[str]) -> None:
        if isinstance(topics, str):
            raise OptionError("topics", topics, "a collection of topics, not a string")
        self._topics = frozenset(topics)

    def can_subscribe(self, topic: str) -> bool:
        """Allow a topic that is in the list."""
        return topic in self._topics

    def filter_incoming(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> list[RPC.SubOpts]:
        """Return the allowed subscriptions; never raises."""
        return filter_subscriptions(subscriptions, self.can_subscribe)


class RegexpFilter:
    """A filter that allows topics in which a pattern is found, at any position unless anchored.

    Args:
        pattern: a regular expression.

    Raises:
        OptionError: it is invalid.
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
        """Return the allowed subscriptions; never raises."""
        return filter_subscriptions(subscriptions, self.can_subscribe)


class LimitFilter:
    """A wrapper of a filter that limits the number of subscriptions in an RPC.

    Args:
        inner: the wrapped filter.
        limit: maximal number of subscriptions, including those filtered out.
    """

    def __init__(self, inner: SubscriptionFilter, limit: int) -> None:
        self._inner = inner
        self._limit = check_whole("limit", limit, at_least=1)

    def can_subscribe(self, topic: str) -> bool:
        """Call the inner filter."""
        return self._inner.can_subscribe(topic)

    def filter_incoming(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> list[RPC.SubOpts]:
        """Refuse an RPC over the limit, else call the inner filter."""
        if len(subscriptions) > self._limit:
            raise TooManySubscriptions(len(subscriptions), self._limit)
        return self._inner.filter_incoming(peer, subscriptions)


def filter_subscriptions(subscriptions: Iterable[RPC.SubOpts], is_allowed: Callable[[str], bool]) -> list[RPC.SubOpts]:
    """Return the allowed subscriptions, each topic at most once, in the order of the RPC.

    Equal entries count once; opposite entries cancel out, so that a third one counts again.

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
