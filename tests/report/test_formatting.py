"""How numbers are written."""

from __future__ import annotations

import math

import pytest

from pubsub_sim.report.formatting import (
    count_things,
    format_estimate,
    format_given,
    format_interval,
    format_number,
    format_ratio,
    format_signed,
    join_words,
)
from pubsub_sim.results.intervals import Estimate, median


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1234.5, "1,230"),
        (12.345, "12.3"),
        (0.0012345, "0.00123"),
        (9.996, "10.0"),
        (999.6, "1,000"),
        (0.0, "0"),
        (1.11e-16, "0"),
        (-2.2e-16, "0"),
        (1.0, "1.00"),
        (math.nan, "\N{EN DASH}"),
        (-2.5, "\N{MINUS SIGN}2.50"),
    ],
)
def test_numbers_have_three_figures(value: float, written: str) -> None:
    """Three significant figures, whatever the size; what is left of a sum that should be zero is zero."""
    assert format_number(value) == written


def test_exact_counts_are_written_in_full() -> None:
    """A count is no measurement: every digit stands."""
    assert format_number(12345.0, exact=True) == "12,345"


def test_what_was_chosen_has_no_trailing_zeros() -> None:
    """A limit of three seconds is 3, not 3.00."""
    assert (format_given(3.0), format_given(0.25)) == ("3", "0.25")


def test_interval_has_as_many_digits_as_its_estimate() -> None:
    """The ends are written like the number they belong to."""
    assert format_estimate(Estimate(10.0, 9.756, 10.49, 5)) == "10.0 (9.8\N{EN DASH}10.5)"
    assert format_estimate(Estimate(2.2e-16, -1.1e-16, 2.2e-16, 5)) == "0"
    assert format_ratio(Estimate(1.004, 0.9961, 1.0132, 5)) == "1.00 (1.00\N{EN DASH}1.01)"


def test_estimate_without_interval_stands_alone() -> None:
    """One run gives a number and no brackets."""
    assert format_estimate(median([2.0])) == "2.00"
    assert format_interval(median([2.0])) == ""
    assert format_ratio(median([2.0])) == "2.00"
    assert format_ratio(Estimate(108.54, 98.05, 120.16, 2)) == "109 (98.0\N{EN DASH}120)"


def test_differences_have_a_sign() -> None:
    """More is +, less is a minus, nothing has none."""
    assert (format_signed(1.5), format_signed(-1.5), format_signed(0.0)) == ("+1.50", "\N{MINUS SIGN}1.50", "0")


def test_words_are_joined_and_counted() -> None:
    """One thing is singular, several are joined by commas and an and."""
    assert (count_things(1, "run"), count_things(1200, "run")) == ("1 run", "1,200 runs")
    assert (join_words(["a"]), join_words(["a", "b", "c"]), join_words([])) == ("a", "a, b and c", "")
