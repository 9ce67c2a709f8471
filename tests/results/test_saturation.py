"""The search for the saturation on synthetic response curves, and the index of fairness."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest

from pubsub_sim.results.saturation import SaturationSearch, find_saturation, jain_index


def search(curve: Callable[[int], float | None], most: int = 64) -> tuple[SaturationSearch, list[int]]:
    """Follow a search on a curve; give it with the steps that it asked for."""
    found, steps = SaturationSearch(most), []
    while (step := found.next_step) is not None:
        steps.append(step)
        found.observe(curve(step))
    return found, steps


def test_the_knee_of_a_saturating_curve_is_found() -> None:
    """Of a server that answers one message a millisecond after 8 ms on the way: 8 in flight are enough, two flat steps end it."""
    found, steps = search(lambda step: min(step / 0.008, 1000.0))
    assert steps == [1, 2, 4, 8, 16, 32]
    assert found.saturation == (1000.0, 8)


def test_a_step_that_falls_off_is_no_part_of_the_plateau() -> None:
    """Overload that collapses throughput lowers neither the estimate nor the knee."""
    curve: Mapping[int, float] = {1: 500.0, 2: 980.0, 4: 1000.0, 8: 600.0, 16: 300.0}
    found, steps = search(curve.get)
    assert steps == [1, 2, 4, 8]
    assert found.saturation == (990.0, 2)


def test_one_flat_step_does_not_end_the_search() -> None:
    """A noisy step is followed by another look."""
    curve: Mapping[int, float] = {1: 100.0, 2: 102.0, 4: 200.0, 8: 201.0, 16: 202.0}
    found, steps = search(curve.get)
    assert steps == [1, 2, 4, 8, 16]
    assert found.saturation == (pytest.approx(201.0), 4)


def test_the_search_ends_at_the_most_that_is_tried() -> None:
    """A curve that still grows there has its last step as its saturation."""
    found, steps = search(lambda step: 100.0 * step, most=8)
    assert steps == [1, 2, 4, 8]
    assert found.saturation == (800.0, 8)


def test_a_failed_run_ends_the_search_with_what_is_known() -> None:
    """And with nothing if it was the first."""
    found, steps = search(lambda step: None if step == 4 else 100.0 * step)
    assert steps == [1, 2, 4]
    assert found.saturation == (200.0, 2)
    assert search(lambda _: None)[0].saturation is None


def test_nothing_delivered_is_no_saturation() -> None:
    """A curve of zeros has no plateau."""
    assert find_saturation([(1, 0.0), (2, 0.0)]) is None
    assert find_saturation([]) is None


def test_jains_index_is_that_of_the_paper() -> None:
    """1 for equal shares, k/n if k of n have everything in equal parts, whatever the unit; none if nobody has any."""
    assert jain_index([7, 7, 7]) == 1.0
    assert jain_index([5, 5, 0, 0]) == 0.5
    assert jain_index([0, 0]) is None
    assert math.isclose(jain_index([1, 2, 3]) or 0, jain_index([10, 20, 30]) or 1)
