"""Parameters of peer scoring: what is refused (SP), and the decay helper."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pubsub_sim.errors import OptionError
from pubsub_sim.protocol.score_params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams, decay_factor

THRESHOLDS = {
    "gossip_threshold": -10.0,
    "publish_threshold": -100.0,
    "graylist_threshold": -1000.0,
    "accept_px_threshold": 10.0,
    "opportunistic_graft_threshold": 5.0,
}
TOPIC = {
    "topic_weight": 1.0,
    "time_in_mesh_weight": 0.01,
    "time_in_mesh_quantum_s": 1.0,
    "time_in_mesh_cap": 10.0,
    "first_message_deliveries_weight": 1.0,
    "first_message_deliveries_decay": 0.5,
    "first_message_deliveries_cap": 10.0,
    "mesh_message_deliveries_weight": -1.0,
    "mesh_message_deliveries_decay": 0.5,
    "mesh_message_deliveries_cap": 10.0,
    "mesh_message_deliveries_threshold": 5.0,
    "mesh_message_deliveries_window_s": 0.001,
    "mesh_message_deliveries_activation_s": 1.0,
    "mesh_failure_penalty_weight": -1.0,
    "mesh_failure_penalty_decay": 0.5,
    "invalid_message_deliveries_weight": -1.0,
    "invalid_message_deliveries_decay": 0.5,
}


def no_opinion(peer: bytes) -> float:
    return 0.0


PEER: dict[str, Any] = {
    "topics": {"t": TopicScoreParams(**TOPIC)},
    "topic_score_cap": 1.0,
    "app_specific_score": no_opinion,
    "app_specific_weight": 1.0,
    "ip_colocation_factor_weight": -1.0,
    "ip_colocation_factor_threshold": 1,
    "ip_colocation_factor_whitelist": ("10.0.0.0/8", "fd00::/8"),
    "behaviour_penalty_weight": -1.0,
    "behaviour_penalty_threshold": 1.0,
    "behaviour_penalty_decay": 0.5,
    "decay_interval_s": 1.0,
    "decay_to_zero": 0.01,
    "retain_score_s": 0.0,
    "seen_msg_ttl_s": 120.0,
}
NO_NUMBERS = (math.nan, math.inf, -math.inf, "1", None, True)
NO_DECAYS = (-1.0, 0.0, 1.0, 2.0)
ATOMIC = pytest.mark.parametrize("is_selective", [False, True], ids=["atomic", "selective"])


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize("name", THRESHOLDS)
def test_sp01_a_threshold_is_a_finite_number(name: str, number: object) -> None:
    """NaN, infinities and everything that is no number are errors that name the field."""
    with pytest.raises(OptionError, match=name):
        PeerScoreThresholds(**THRESHOLDS | {name: number})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gossip_threshold", 1.0),
        ("publish_threshold", 1.0),
        ("publish_threshold", -9.0),
        ("graylist_threshold", 1.0),
        ("graylist_threshold", -99.0),
        ("accept_px_threshold", -1.0),
        ("opportunistic_graft_threshold", -1.0),
    ],
)
def test_sp01_thresholds_come_in_their_order(name: str, value: float) -> None:
    """Graylist at most publish at most gossip at most 0; the other two at least 0."""
    with pytest.raises(OptionError, match=name):
        PeerScoreThresholds(**THRESHOLDS | {name: value})


def test_sp01_good_thresholds_pass() -> None:
    """Those of the tests here, and all at zero."""
    assert PeerScoreThresholds(**THRESHOLDS).graylist_threshold == -1000
    assert PeerScoreThresholds().gossip_threshold == 0


@ATOMIC
@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize("name", TOPIC)
def test_sp02_a_topic_parameter_is_a_finite_number(name: str, number: object, is_selective: bool) -> None:
    """In both modes of checking."""
    with pytest.raises(OptionError, match=name):
        TopicScoreParams(skip_atomic_validation=is_selective, **TOPIC | {name: number})


@ATOMIC
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("topic_weight", (-1.0,)),
        ("time_in_mesh_quantum_s", (0.0, -1.0)),
        ("time_in_mesh_weight", (-1.0,)),
        ("time_in_mesh_cap", (0.0, -1.0)),
        ("first_message_deliveries_weight", (-1.0,)),
        ("first_message_deliveries_decay", NO_DECAYS),
        ("first_message_deliveries_cap", (0.0, -1.0)),
        ("mesh_message_deliveries_weight", (1.0,)),
        ("mesh_message_deliveries_decay", NO_DECAYS),
        ("mesh_message_deliveries_cap", (0.0, -1.0)),
        ("mesh_message_deliveries_threshold", (0.0, -3.0)),
        ("mesh_message_deliveries_window_s", (-0.001,)),
        ("mesh_message_deliveries_activation_s", (0.0, 0.999)),
        ("mesh_failure_penalty_weight", (1.0,)),
        ("mesh_failure_penalty_decay", NO_DECAYS),
        ("invalid_message_deliveries_weight", (1.0,)),
        ("invalid_message_deliveries_decay", NO_DECAYS),
    ],
)
def test_sp02_a_topic_parameter_out_of_its_range_is_an_error(
    name: str, values: tuple[float, ...], is_selective: bool
) -> None:
    """In both modes: the rest of its group is set."""
    for value in values:
        with pytest.raises(OptionError, match=name):
            TopicScoreParams(skip_atomic_validation=is_selective, **TOPIC | {name: value})


def test_sp02_an_empty_topic_set_is_valid_only_selectively() -> None:
    """Atomic checking wants every group."""
    assert TopicScoreParams(skip_atomic_validation=True).topic_weight == 0
    with pytest.raises(OptionError):
        TopicScoreParams()


@pytest.mark.parametrize(
    "group",
    [
        "time_in_mesh",
        "first_message_deliveries",
        "mesh_message_deliveries",
        "mesh_failure_penalty",
        "invalid_message_deliveries",
    ],
)
def test_sp02_selective_checking_passes_each_group_alone(group: str) -> None:
    """The groups that are not set are not looked at."""
    alone = {name: value for name, value in TOPIC.items() if name.startswith(group)}
    assert TopicScoreParams(skip_atomic_validation=True, topic_weight=1.0, **alone)


def test_sp02_invalid_messages_decay_even_when_they_weigh_nothing() -> None:
    """The reference checks the decay of P4 always, and those of P2, P3 and P3b only with a weight."""
    weightless = {name: 0.0 for name in TOPIC if name.endswith("_weight") and name != "topic_weight"}
    decays = {name: 0.0 for name in TOPIC if name.endswith("_decay")}
    with pytest.raises(OptionError, match="invalid_message_deliveries_decay"):
        TopicScoreParams(**TOPIC | weightless | decays)
    TopicScoreParams(**TOPIC | weightless | decays | {"invalid_message_deliveries_decay": 0.5})


@ATOMIC
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("topic_score_cap", (-1.0, math.nan)),
        ("app_specific_score", (3,)),
        ("app_specific_weight", (math.nan, math.inf)),
        ("ip_colocation_factor_weight", (1.0, math.nan)),
        ("ip_colocation_factor_threshold", (0, -1, 1.5)),
        ("ip_colocation_factor_whitelist", (("10.0.0.0/8", "somewhere"),)),
        ("behaviour_penalty_weight", (1.0, math.nan)),
        ("behaviour_penalty_threshold", (-1.0, math.nan)),
        ("behaviour_penalty_decay", NO_DECAYS),
        ("decay_interval_s", (0.0, 0.999, math.nan)),
        ("decay_to_zero", NO_DECAYS),
        ("retain_score_s", (-1.0, math.nan)),
        ("seen_msg_ttl_s", (0.0, -1.0)),
        ("topics", ({"t": 3},)),
    ],
)
def test_sp03_a_peer_parameter_out_of_its_range_is_an_error(
    name: str, values: tuple[object, ...], is_selective: bool
) -> None:
    """In both modes, naming the field."""
    for value in values:
        with pytest.raises(OptionError, match=name):
            PeerScoreParams(skip_atomic_validation=is_selective, **PEER | {name: value})


def test_sp03_good_parameters_pass() -> None:
    """All groups set; selectively also none."""
    assert PeerScoreParams(**PEER).topics["t"].topic_weight == 1
    assert PeerScoreParams(skip_atomic_validation=True).topics == {}


def test_sp03_atomic_checking_wants_an_application_score() -> None:
    """Forgetting it is an error; selectively it is 0."""
    with pytest.raises(OptionError, match="app_specific_score"):
        PeerScoreParams()


def test_later_changes_of_a_topic_table_are_no_changes_of_the_parameters() -> None:
    """The parameters are frozen, what they were made from is not."""
    topics = {"t": TopicScoreParams(**TOPIC)}
    params = PeerScoreParams(**PEER | {"topics": topics})
    topics.clear()
    assert list(params.topics) == ["t"]


def test_sp04_the_decay_helper_takes_a_counter_to_zero_in_its_time() -> None:
    """After an hour in steps of a second, 1 has become 0.01; likewise for other steps and other zeros."""
    assert decay_factor(3600) ** 3600 == pytest.approx(0.01)
    assert decay_factor(60, base_s=12, to_zero=0.5) ** 5 == pytest.approx(0.5)


def test_sp04_the_decay_helper_counts_whole_steps() -> None:
    """2.9 s are two steps of 1 s, and less than one step is an error."""
    assert decay_factor(2.9) == decay_factor(2) == pytest.approx(0.1)
    with pytest.raises(OptionError, match="duration_s"):
        decay_factor(0.9)


@pytest.mark.parametrize(("duration_s", "to_zero"), [(math.nan, 0.01), (math.inf, 0.01), (-1, 0.01), (1, 0), (1, 1)])
def test_sp04_the_decay_helper_refuses_what_cannot_be(duration_s: float, to_zero: float) -> None:
    """Naming the argument."""
    with pytest.raises(OptionError, match=r"duration_s|to_zero"):
        decay_factor(duration_s, to_zero=to_zero)
