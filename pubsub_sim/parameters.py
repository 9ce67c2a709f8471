"""Options from names and values that a notebook, a command line or a file gives: unknown names, aliases, several values."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

from pubsub_sim.errors import OptionError


class UnknownParameterError(OptionError):
    """A parameter of a name that does not exist.

    Attributes:
        known: the names that do.
    """

    def __init__(self, option: str, value: object, known: Iterable[str]) -> None:
        self.known = tuple(known)
        nearest = difflib.get_close_matches(option, self.known, n=1, cutoff=0.6)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(self.known)}"
        super().__init__(option, value, hint)
        self._sentence = f"{option}: there is no such parameter, {hint}"

    def __str__(self) -> str:
        return self._sentence


class Parameters:
    """Base of the dataclasses of options that can be made of names and values from outside."""

    ALIASES: ClassVar[Mapping[str, str]] = {}
    """Names that are also accepted, and the field that each stands for."""

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], **fixed: Any) -> Self:
        """Make options of names and values that came from outside.

        Args:
            parameters: name to value; what is left out has its default. Of a field and its alias the later one counts.
            fixed: fields that the caller sets and `parameters` may not.

        Raises:
            UnknownParameterError: a name is unknown; the sentence tells the nearest known one.
            OptionError: a value cannot be used.
        """
        names = [entry.name for entry in fields(cls) if entry.name not in fixed]  # type: ignore[arg-type]  # of dataclasses
        known = {alias: name for alias, name in cls.ALIASES.items() if name in names}
        given = {known.get(name, name): value for name, value in parameters.items()}
        reject_unknown(given, names)
        return cls(**given, **fixed)


def reject_unknown(given: Mapping[str, object], known: Iterable[str]) -> None:
    """Refuse the first name that is not known.

    Args:
        given: names to look at, and their values.
        known: names that exist.

    Raises:
        UnknownParameterError: with the nearest known name.
    """
    names = tuple(known)
    for name, value in given.items():
        if name not in names:
            raise UnknownParameterError(name, value, names)


def several(option: str, value: object) -> tuple[Any, ...]:
    """Take one value, several, or a text with commas; whole numbers in such a text become numbers.

    Raises:
        OptionError: there is no value, or one is there twice.
    """
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        values: tuple[Any, ...] = tuple(int(part) if part.isascii() and part.isdigit() else part for part in parts)
    else:
        values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not values:
        raise OptionError(option, value, "at least one value")
    for number, one in enumerate(values):
        if one in values[:number]:
            raise OptionError(option, value, f"each value once ({one!r} is there twice)")
    return values
