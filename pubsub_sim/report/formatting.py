"""Notation of numbers: three significant figures, an interval beside each, and words for many or none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pubsub_sim.results.intervals import Estimate

FIGURES = 3
"""Significant figures that the noise of a measurement supports."""

LEAST_P_VALUE = 0.001
"""Smaller p-values are only said to be below it."""

NOTHING = "\N{EN DASH}"
"""Stands for a number that does not exist."""


def format_number(value: float, *, exact: bool = False, places: int | None = None) -> str:
    """Write a number.

    Args:
        value: any number; NaN gives a dash, and what is left of a sum that should be zero gives 0.
        exact: a whole number that is written in full.
        places: digits after the point; by default as many as make three significant figures.

    Returns:
        The number with thousands separators: 1,230, 12.3, 0.00123.
    """
    if math.isnan(value):
        return NOTHING
    value = _settled(value)
    if exact and float(value).is_integer():
        return f"{value:,.0f}"
    if places is None:
        places = _places(value)
    return f"{round(value, places) + 0.0:,.{max(places, 0)}f}".replace("-", "\N{MINUS SIGN}")


def round_number(value: float) -> float | None:
    """Round a number to six figures, and at most nine places, for other programs; None for NaN."""
    return None if math.isnan(value) else float(f"{_settled(value):.6g}")


def to_json(value: Estimate) -> dict[str, Any]:
    """Give an estimate as JSON values, rounded to six figures; null for what is not known."""
    ends = [round_number(value.low), round_number(value.high)] if value.has_interval else None
    return {"value": round_number(value.value), "interval": ends, "observations": value.observations}


def format_given(value: float) -> str:
    """Write a number that was chosen or read off, not estimated, without trailing zeros: 3, 0.25."""
    return f"{value:,.6g}"


def format_signed(value: float) -> str:
    """Write a difference with its sign."""
    return format_number(value) if not value > 0 else f"+{format_number(value)}"


def format_ratio_value(value: float) -> str:
    """Write a ratio: two digits after the point, so that ratios around 1 are written alike; large ones as other numbers."""
    return format_number(value, places=_ratio_places(value))


def format_ratio(value: Estimate) -> str:
    """Write a ratio with its interval in brackets."""
    ends = format_ratio_interval(value)
    return f"{format_ratio_value(value.value)} ({ends})" if ends else format_ratio_value(value.value)


def format_ratio_interval(value: Estimate) -> str:
    """Write the ends of a ratio's interval, "" if there is none."""
    places = _ratio_places(value.value)
    ends = [format_number(end, places=places) for end in (value.low, value.high)]
    return "\N{EN DASH}".join(ends) if value.has_interval else ""


def format_interval(estimate: Estimate, *, exact: bool = False) -> str:
    """Write the ends of an interval with as many digits as its estimate, "" if there is none."""
    if not estimate.has_interval:
        return ""
    places = None if exact else _places(estimate.value)
    low, high = (format_number(end, exact=exact, places=places) for end in (estimate.low, estimate.high))
    return f"{low} to {high}" if "\N{MINUS SIGN}" in low + high else f"{low}\N{EN DASH}{high}"


def format_estimate(value: Estimate, *, exact: bool = False) -> str:
    """Write an estimate with its interval in brackets, where that says more than the estimate."""
    text = format_number(value.value, exact=exact)
    ends = format_interval(value, exact=exact)
    return f"{text} ({ends})" if ends and ends != f"{text}\N{EN DASH}{text}" else text


def format_exponent(value: Estimate) -> str:
    """Write an exponent, two digits after the point, with its interval in brackets where that says more."""
    text, *ends = (format_number(part, places=2) for part in (value.value, value.low, value.high))
    if not value.has_interval or ends == [text, text]:
        return text
    joint = " to " if "\N{MINUS SIGN}" in "".join(ends) else "\N{EN DASH}"
    return f"{text} ({joint.join(ends)})"


def format_p_value(value: float) -> str:
    """Write the p-value of a test, "too few pairs" for NaN."""
    if math.isnan(value):
        return "too few pairs"
    return f"p < {LEAST_P_VALUE}" if value < LEAST_P_VALUE else f"p = {value:.{2 if value >= 0.1 else 3}f}"


def list_numbers(values: Sequence[int]) -> str:
    """Write the values of an axis: one, or all of them."""
    return NOTHING if not values else join_words(f"{value:,}" for value in values)


def join_words(words: Iterable[str]) -> str:
    """Join words: a, b and c."""
    parts = list(words)
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def count_things(amount: int, noun: str, plural: str = "") -> str:
    """Write an amount of things: 1 run, 2 runs."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def format_code(name: str) -> str:
    """Write a name that stands in the code."""
    return f"`{name}`"


def _settled(value: float) -> float:
    """Leave out what stands behind the ninth place, which processors do not agree on.

    A sum that should be zero is some 1e-16 on one and another such number on the next, as they add up in different orders.
    """
    return round(value, 9) + 0.0


def _places(value: float) -> int:
    if math.isnan(value) or _settled(value) == 0:
        return 0
    places = FIGURES - 1 - math.floor(math.log10(abs(value)))
    return FIGURES - 1 - math.floor(math.log10(abs(round(value, places))))  # 9.996 becomes 10.0


def _ratio_places(value: float) -> int | None:
    return 2 if 0.1 <= value < 10 else None
