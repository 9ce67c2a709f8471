"""Options of a command: a dataclass becomes flags, whose names, defaults and help come from the class alone."""

from __future__ import annotations

import argparse
import inspect
import re
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, NoReturn

from pubsub_sim.errors import CallerError, OptionError
from pubsub_sim.parameters import reject_unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENTRY = re.compile(r"^ {4}(\w+): (.*(?:\n {5,}\S.*)*)", re.MULTILINE)


class FlagError(CallerError):
    """A command line that cannot be read.

    Attributes:
        reason: what is wrong with it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason}; --help lists the flags"


class _Parser(argparse.ArgumentParser):
    """Refuses in one sentence instead of printing its usage."""

    def error(self, message: str) -> NoReturn:
        raise FlagError(message)


def from_flags(cls: type[Any], command: str, summary: str, arguments: Sequence[str]) -> Any:
    """Read options from a command line.

    Args:
        cls: a dataclass; a flag ``--some-name`` for each field ``some_name``.
        command: name of the command, for its help.
        summary: one sentence, for its help.
        arguments: the words after the command.

    Returns:
        An instance of the class, which checks the values itself.

    Raises:
        FlagError: a flag without its value, or one that is needed and not there.
        OptionError: an unknown flag (with the nearest known one), or a value that the class refuses.
    """
    parser = _Parser(prog=f"python -m pubsub_sim {command}", description=summary, allow_abbrev=False)
    told = _told(cls)
    for entry in fields(cls):
        flag = "--" + entry.name.replace("_", "-")
        default = "required" if entry.default is MISSING else f"default: {_shown(entry.default)}"
        text = f"{told.get(entry.name, '')} ({default})".replace("%", "%%")
        if entry.type == "bool":
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        else:
            kind = _number if re.search(r"\b(int|float)\b", str(entry.type)) else str
            parser.add_argument(flag, type=kind, metavar="VALUE", default=argparse.SUPPRESS, help=text)
    given, rest = parser.parse_known_args(arguments)
    names = [entry.name for entry in fields(cls)]
    words = [word.removeprefix("--").split("=")[0].replace("-", "_") for word in rest]
    reject_unknown(dict.fromkeys(words), names)
    for entry in fields(cls):
        if entry.default is MISSING and not hasattr(given, entry.name):
            raise FlagError(f"--{entry.name} is needed")
    return cls(**vars(given))


def several(option: str, value: object) -> tuple[Any, ...]:
    """Take one value, several, or a text with commas; whole numbers in such a text become numbers."""
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


def _number(text: str) -> int | float | str:
    """Read a number where there is one; what else is right is for the class to say."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _told(cls: type[Any]) -> dict[str, str]:
    """Find what the docstrings of a class and of its bases say about each attribute."""
    told: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        section = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
        told |= {name: " ".join(text.split()).rstrip(".") for name, text in _ENTRY.findall(section)}
    return told
