"""Options from names and values of a notebook, a command line or a file: unknown names, aliases, multiple values."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

from pubsub_sim.errors import OptionError


class UnknownParameterError(OptionError):
    """An unknown parameter.

    Attributes:
        known: the known names.
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
    """Base of dataclasses of options that can be created from external names and values."""

    ALIASES: ClassVar[Mapping[str, str]] = {}
    """Alternative names, with their fields."""

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], **fixed: Any) -> Self:
        """Create options from external names and values.

        Args:
            parameters: values by name; missing ones have their defaults. Of a field and its alias the later one is used.
            fixed: fields set by the caller, which `parameters` must not contain.

        Raises:
            UnknownParameterError: a name is unknown; the message suggests the nearest known one.
            OptionError: a value is invalid.
        """
        names = [entry.name for entry in fields(cls) if entry.name not in fixed]  # type: ignore[arg-type]  # of dataclasses
        known = {alias: name for alias, name in cls.ALIASES.items() if name in names}
        given = {known.get(name, name): value for name, value in parameters.items()}
        reject_unknown(given, names)
        return cls(**given, **fixed)


def reject_unknown(given: Mapping[str, object], known: Iterable[str]) -> None:
    """Refuse unknown names.

    Args:
        given: values by name.
        known: the known names.

    Raises:
        UnknownParameterError: the first unknown name, with the nearest known one.
    """
    names = tuple(known)
    for name, value in given.items():
        if name not in names:
            raise UnknownParameterError(name, value, names)


def several(option: str, value: object) -> tuple[Any, ...]:
    """Return one value, several, or a comma-separated string as a tuple; integers in such a string become numbers.

    Raises:
        OptionError: no value, or a repeated one.
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
