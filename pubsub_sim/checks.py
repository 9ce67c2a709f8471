"""Checks of option values. Each raises an OptionError: one sentence with the option, its value and the expected values."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import TypeVar

from pubsub_sim.errors import OptionError

T = TypeVar("T")


def check_whole(option: str, value: object, *, at_least: int, at_most: int = 2**63 - 1) -> int:
    """Return an integer in a range; bools are refused."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise OptionError(option, value, f"a whole number of at least {at_least}")
    if value > at_most:
        raise OptionError(option, value, f"a whole number of at most {at_most}")
    return value


def check_seconds(option: str, value: object) -> None:
    """Refuse anything but a finite time above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise OptionError(option, value, "a number of seconds above 0")


def check_number(option: str, value: object, *, at_least: float, at_most: float = float("inf")) -> None:
    """Refuse anything but a finite number in a range."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not at_least <= value <= at_most or value == float("inf"):  # type: ignore[operator] # checked
        upper = "" if at_most == float("inf") else f" and at most {at_most:g}"
        raise OptionError(option, value, f"a number of at least {at_least:g}{upper}")


def check_ip(option: str, value: object) -> str:
    """Return an IPv4 or IPv6 address as text."""
    try:
        ip_address(value if isinstance(value, str) else "")
    except ValueError:
        raise OptionError(option, value, "an IPv4 or IPv6 address") from None
    return str(value)


def check_bool(option: str, value: object) -> None:
    """Refuse anything but true and false."""
    if not isinstance(value, bool):
        raise OptionError(option, value, "true or false")


def is_numpy_bool(value: object) -> bool:
    """Return whether a value is a NumPy bool, which is not a Python bool; NumPy need not be installed."""
    kind = type(value)
    return kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_")  # its names since NumPy 2.0 and before


def check_topic(option: str, value: object) -> str:
    """Return a topic name: a non-empty string that UTF-8 can encode."""
    if not isinstance(value, str) or not value:
        raise OptionError(option, value, "a topic name, a string that is not empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise OptionError(option, value, "a topic name that UTF-8 can encode") from None
    return value


def check_choice(option: str, value: object, choices: Iterable[str]) -> None:
    """Refuse anything but one of the given names."""
    names = tuple(choices)
    if value not in names:
        raise OptionError(option, value, f"one of {', '.join(names)}" if len(names) > 1 else repr(names[0]))


def check_kind(option: str, value: T | None, kind: type[T]) -> T | None:
    """Refuse anything but None and instances of a class."""
    if value is not None and not isinstance(value, kind):
        raise OptionError(option, value, f"a {kind.__name__}, or nothing")
    return value
