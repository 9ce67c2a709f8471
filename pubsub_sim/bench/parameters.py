"""Is a parameter known, and can its value be used? Every refusal is one sentence that names it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from pubsub_sim.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable


class UnknownParameterError(OptionError):
    """A parameter of a name that does not exist.

    Attributes:
        known: the names that do.
    """

    def __init__(self, option: str, value: object, known: Iterable[str]) -> None:
        self.known = tuple(known)
        nearest = difflib.get_close_matches(option, self.known, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(self.known)}"
        super().__init__(option, value, hint)
        self._sentence = f"{option}: there is no such parameter, {hint}"

    def __str__(self) -> str:
        return self._sentence


def reject_unknown(given: Iterable[str], known: Iterable[str], values: dict[str, object] | None = None) -> None:
    """Refuse the first name that is not known.

    Args:
        given: names to look at.
        known: names that exist.
        values: what was given for them, kept as a fact of the error.

    Raises:
        UnknownParameterError: with the nearest known name.
    """
    names = tuple(known)
    for name in given:
        if name not in names:
            raise UnknownParameterError(name, (values or {}).get(name), names)


def check_whole(option: str, value: object, *, at_least: int, at_most: int = 2**63 - 1) -> None:
    """Refuse anything but a whole number in a range; true and false are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise OptionError(option, value, f"a whole number of at least {at_least}")
    if value > at_most:
        raise OptionError(option, value, f"a whole number of at most {at_most}")


def check_seconds(option: str, value: object) -> None:
    """Refuse anything but a finite time above zero."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise OptionError(option, value, "a number of seconds above 0")


def check_bool(option: str, value: object) -> None:
    """Refuse anything but true and false."""
    if not isinstance(value, bool):
        raise OptionError(option, value, "true or false")


def check_choice(option: str, value: object, names: tuple[str, ...]) -> None:
    """Refuse anything but one of some names."""
    if value not in names:
        raise OptionError(option, value, f"one of {', '.join(names)}")
