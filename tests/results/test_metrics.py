"""The table of metrics."""

import pytest

from pubsub_sim.results import METRICS, RUN, metric


def test_units_end_the_names() -> None:
    """A metric with a unit carries it at the end of its name, and a plain count carries none."""
    for entry in METRICS.values():
        assert entry.name.endswith(("_ns", "_bytes")) == (entry.unit != "1")
        assert entry.unit == "1" or entry.name.endswith(f"_{entry.unit}")


def test_every_metric_is_explained() -> None:
    """Each metric has one sentence for the reader of a table."""
    assert all(entry.meaning.endswith(".") for entry in METRICS.values())


def test_scope_says_where_a_metric_may_stand() -> None:
    """A metric of the run has no row in a phase, one of both scopes has rows in both."""
    assert metric("connections").fits(RUN)
    assert not metric("connections").fits("init")
    assert metric("wall_ns").fits(RUN)
    assert metric("wall_ns").fits("init")


def test_unknown_metric_is_named() -> None:
    """Looking up a metric that does not exist names it and lists those that do."""
    with pytest.raises(KeyError, match="no metric 'wall_s'; there are failures, wall_ns"):
        metric("wall_s")
