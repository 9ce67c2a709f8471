"""Medians, means of medians and their intervals."""

from __future__ import annotations

import math

import pytest

from pubsub_sim.results.intervals import UNKNOWN, mean_of_medians, mean_of_sampled_groups, median


def test_median_of_few_values_is_the_textbook_one() -> None:
    """An odd number of values has a middle one, an even number the mean of the two middle ones."""
    assert median([3.0, 1.0, 2.0]).value == 2.0
    assert median([4.0, 1.0, 2.0, 3.0]).value == 2.5


def test_interval_of_two_values_is_their_span() -> None:
    """Resampled medians of two values are the two and their mean, so the interval is from one to the other."""
    found = median([1.0, 3.0])
    assert (found.low, found.high) == (1.0, 3.0)


def test_equal_values_have_an_interval_of_no_width() -> None:
    """No spread, no uncertainty."""
    found = median([7.0] * 5)
    assert (found.value, found.low, found.high, found.observations) == (7.0, 7.0, 7.0, 5)


def test_one_value_has_no_interval() -> None:
    """A single run says nothing about the spread."""
    found = median([5.0])
    assert found.value == 5.0
    assert not found.has_interval


def test_missing_values_are_left_out() -> None:
    """NaN does not count, and nothing but NaN is unknown."""
    assert median([math.nan, 2.0, 4.0]).value == 3.0
    assert median([math.nan]) is UNKNOWN
    assert not UNKNOWN.is_known


def test_mean_of_medians_weighs_each_group_once() -> None:
    """A group of many observations counts like one of few: (median 2 + median 10) / 2."""
    found = mean_of_medians([[1.0, 2.0, 3.0, 2.0, 2.0], [10.0]])
    assert found.value == 6.0
    assert found.observations == 6


def test_interval_over_groups_holds_the_noise_and_not_the_difference_between_them() -> None:
    """Two groups without any noise have a mean that is known exactly; groups with noise do not."""
    found = mean_of_medians([[0.0, 0.0], [1.0, 1.0]])
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)
    noisy = mean_of_medians([[0.0, 0.2, 0.4], [1.0, 1.2, 1.4]])
    assert (noisy.low, noisy.high) == (pytest.approx(0.5), pytest.approx(0.9))
    assert noisy.value == pytest.approx(0.7)


def test_groups_of_one_observation_each_tell_no_noise() -> None:
    """There is a mean and no interval, however many groups there are."""
    found = mean_of_medians([[1.0], [2.0], [3.0]])
    assert (found.value, found.has_interval, found.observations) == (2.0, False, 3)


def test_interval_over_sampled_groups_holds_the_difference_between_them() -> None:
    """Two groups without any noise still give an interval, from one group to the other; the mean is the same."""
    found = mean_of_sampled_groups([[0.0, 0.0], [1.0, 1.0]])
    assert (found.low, found.value, found.high) == (0.0, 0.5, 1.0)
    assert mean_of_sampled_groups([[], [math.nan]]) is UNKNOWN
    assert not mean_of_sampled_groups([[2.0]]).has_interval


def test_interval_of_one_group_is_that_of_its_observations() -> None:
    """With one cell only the repeats can tell the spread."""
    found = mean_of_medians([[1.0, 3.0]])
    assert (found.low, found.value, found.high) == (1.0, 2.0, 3.0)


def test_empty_groups_do_not_count() -> None:
    """A cell without a pair changes nothing; no cell at all is unknown."""
    assert mean_of_medians([[], [2.0, 2.0]]).value == 2.0
    assert mean_of_medians([[], [math.nan]]) is UNKNOWN


def test_same_values_give_the_same_interval() -> None:
    """The bootstrap starts from a fixed seed."""
    values = [1.0, 5.0, 2.0, 8.0, 3.0]
    assert median(values) == median(values)
    for mean in (mean_of_medians, mean_of_sampled_groups):
        assert mean([values, values[:2]]) == mean([values, values[:2]])


def test_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    """Of the intervals of many samples of a known distribution, nearly all hold its median."""
    import numpy as np

    rng = np.random.default_rng(0)
    samples = [median(rng.normal(10.0, 1.0, 15)) for _ in range(100)]
    assert sum(found.low <= 10.0 <= found.high for found in samples) >= 85


def test_logarithm_becomes_a_ratio() -> None:
    """`exp` maps the estimate and both ends."""
    found = median([math.log(2.0), math.log(8.0)]).exp()
    assert (found.value, found.low, found.high) == pytest.approx((4.0, 2.0, 8.0))
