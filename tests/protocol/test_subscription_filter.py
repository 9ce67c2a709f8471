"""Subscription filters: the reference's unit tests (S01, S02, and S03 as far as no host is needed)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub_sim.errors import OptionError, TooManySubscriptions
from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.subscription_filter import AllowlistFilter, LimitFilter, RegexpFilter, SubscriptionFilter
from pubsub_sim.wire.rpc_pb2 import RPC

PEER = PeerId(b"A")
ALLOWLIST = AllowlistFilter(["test1", "test2"])


def options(*wishes: str) -> list[RPC.SubOpts]:
    """`"test1+"` subscribes to test1, `"test1-"` withdraws."""
    return [RPC.SubOpts(subscribe=wish.endswith("+"), topicid=wish[:-1]) for wish in wishes]


def passed(subscription_filter: SubscriptionFilter, *wishes: str) -> list[str]:
    accepted = subscription_filter.filter_incoming(PEER, options(*wishes))
    return [f"{option.topicid}{'+' if option.subscribe else '-'}" for option in accepted]


@pytest.mark.parametrize(
    "subscription_filter",
    [ALLOWLIST, RegexpFilter("test[12]"), RegexpFilter(re.compile("^test[12]$")), LimitFilter(ALLOWLIST, 3)],
    ids=["allow-list", "regexp", "compiled", "limit"],
)
def test_s01_allowed_topics_pass(subscription_filter: SubscriptionFilter) -> None:
    """test1 and test2, in their order; test3 is neither joined nor noted."""
    allowed = [topic for topic in ("test1", "test2", "test3") if subscription_filter.can_subscribe(topic)]
    assert allowed == ["test1", "test2"]
    assert passed(subscription_filter, "test1+", "test2+", "test3+") == ["test1+", "test2+"]


def test_s01_too_many_subscriptions_are_an_error() -> None:
    """Three at a limit of two, though one would be filtered out; two pass."""
    limited = LimitFilter(ALLOWLIST, 2)
    with pytest.raises(TooManySubscriptions) as caught:
        passed(limited, "test1+", "test2+", "test3+")
    assert (caught.value.count, caught.value.limit) == (3, 2)
    assert passed(limited, "test2+", "test1+") == ["test2+", "test1+"]


def test_s02_the_same_wish_counts_once_and_opposite_wishes_cancel_out() -> None:
    """test1 twice passes once, test2 in and out not at all, test3 is not allowed."""
    assert passed(ALLOWLIST, "test1+", "test1+", "test2+", "test2-", "test3+") == ["test1+"]


def test_s02_a_third_wish_counts_again() -> None:
    """In, out, in is in."""
    assert passed(ALLOWLIST, "test1+", "test1-", "test1+") == ["test1+"]


def test_s03_nothing_allowed_is_nothing() -> None:
    """An RPC without a word for us."""
    assert passed(ALLOWLIST, "test3+") == []
    assert passed(ALLOWLIST) == []


def test_a_regexp_is_searched_for_unless_anchored() -> None:
    """As the reference does."""
    assert RegexpFilter("test[12]").can_subscribe("my-test1-topic")
    assert not RegexpFilter("^test[12]$").can_subscribe("my-test1-topic")


def test_filters_refuse_what_they_cannot_use() -> None:
    """A broken pattern, one text as a list of topics, a limit of nothing."""
    with pytest.raises(OptionError, match="pattern"):
        RegexpFilter("(")
    with pytest.raises(OptionError, match="topics"):
        AllowlistFilter("test1")
    with pytest.raises(OptionError, match="limit"):
        LimitFilter(ALLOWLIST, 0)


@given(st.lists(st.sampled_from(["test1+", "test1-", "test2+", "test2-", "test3+", "test3-"]), max_size=12))
def test_what_passes_is_allowed_and_names_each_topic_once(wishes: list[str]) -> None:
    """Whatever a peer sends; each passed wish is one of those sent."""
    result = passed(ALLOWLIST, *wishes)
    topics = [wish[:-1] for wish in result]
    assert len(set(topics)) == len(topics)
    assert set(topics) <= {"test1", "test2"}
    assert set(result) <= set(wishes)
