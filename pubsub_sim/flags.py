"""The command line of a dataclass of options: a flag for each field, parsed by the field's type."""

from __future__ import annotations

import argparse
import inspect
import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from pubsub_sim.errors import CallerError, OptionError
from pubsub_sim.parameters import reject_unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

REPEATED: Mapping[str, bool] = {"is_repeated": True}
"""Metadata of a field of several strings that may contain commas: its flag takes one string and can be repeated."""

_ENTRY = re.compile(r"^ {4}(\w+): (.*(?:\n {5,}\S.*)*)", re.MULTILINE)
_NAMES: dict[type, str] = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
_SEVERAL: dict[type, str] = {int: "whole numbers", float: "numbers", str: "texts", bool: "true or false"}
_NONE = "none"


class FlagError(CallerError):
    """An invalid command line.

    Attributes:
        reason: the problem.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason}; --help lists the flags"


class UnreadableType(TypeError):
    """Raised when a field of options has an unsupported type: an error of the class, not of its user.

    Attributes:
        kind: the type.
    """

    def __init__(self, kind: object) -> None:
        super().__init__(f"an option of type {kind} cannot be read from a command line")
        self.kind = kind


class _Parser(argparse.ArgumentParser):
    """A parser that raises one-sentence errors instead of printing its usage."""

    def error(self, message: str) -> NoReturn:
        raise FlagError(message)


def from_flags(cls: type[T], command: str, summary: str, arguments: Sequence[str]) -> T:
    """Parse options from a command line.

    Args:
        cls: a dataclass; a flag ``--some-name`` for each field ``some_name``, and for each name in its ``ALIASES``.
        command: name of the command, for its help.
        summary: one sentence, for its help.
        arguments: the words after the command.

    Returns:
        An instance of the class, which checks the values.

    Raises:
        FlagError: a flag without its value, or a missing required flag.
        OptionError: an unknown flag (with the nearest known one), a text that is not a value of the field's type, or a
            value that the class refuses.
        UnreadableType: the class has a field of a type that `read_value` does not support.
    """
    parser = _Parser(prog=f"python -m pubsub_sim {command}", description=summary, allow_abbrev=False)
    entries: tuple[Field[Any], ...] = fields(cls)  # type: ignore[arg-type]  # a dataclass
    types_of, told = get_type_hints(cls), _told(cls)
    for entry in entries:
        _add_flag(parser, cls, entry, types_of[entry.name], told.get(entry.name, ""))
    given, rest = parser.parse_known_args(arguments)
    words = [word.removeprefix("--").split("=")[0].replace("-", "_") for word in rest]
    reject_unknown(dict.fromkeys(words), [entry.name for entry in entries])
    values = vars(given)
    for entry in entries:
        if entry.name in values:
            values[entry.name] = _read_flag(entry, types_of[entry.name], values[entry.name])
        elif entry.default is MISSING:
            raise FlagError(f"{_flag(entry.name)} is needed")
    return cls(**values)


def read_value(flag: str, text: str, kind: object) -> Any:
    """Parse the text of a flag as a value of a type.

    Args:
        flag: the flag, for the error.
        text: the given text.
        kind: bool, int, float, str, None, a Literal of strings, a union of these (None is the word "none"), or a tuple of
            these, separated by commas; an empty text is the empty tuple.

    Raises:
        OptionError: the text is not a value of the type; names the flag, the text and the expected value.
        UnreadableType: the type is not supported.
    """
    try:
        return _read(text, kind)
    except ValueError:
        raise OptionError(flag, text, _describe(kind)) from None


def _read(text: str, kind: object) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        return _read_tuple(text, inner)
    if origin in (Union, types.UnionType):
        return _read_union(text, inner)
    if origin is Literal:
        return _choose(text, {str(choice): choice for choice in inner})
    if kind is types.NoneType:
        return _choose(text, {_NONE: None})
    if kind is bool:
        return _choose(text, {"true": True, "false": False})
    if kind is int or kind is float or kind is str:
        return kind(text)
    raise UnreadableType(kind)


def _read_tuple(text: str, inner: tuple[Any, ...]) -> tuple[Any, ...]:
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    kinds = inner[:1] * len(parts) if inner[1:] == (...,) else inner
    return tuple(_read(part, one) for part, one in zip(parts, kinds, strict=True))  # strict: a ValueError


def _read_union(text: str, inner: tuple[Any, ...]) -> Any:
    for kind in sorted(inner, key=lambda kind: kind is str):  # str last, as it accepts any text
        try:
            return _read(text, kind)
        except ValueError:
            continue
    raise ValueError(text)


def _choose(text: str, values: Mapping[str, Any]) -> Any:
    if text not in values:
        raise ValueError(text)
    return values[text]


def _describe(kind: object) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        return _describe_tuple(inner)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_describe, inner))
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    return _NAMES[kind] if isinstance(kind, type) and kind in _NAMES else repr(_NONE)


def _describe_tuple(inner: tuple[Any, ...]) -> str:
    name = _SEVERAL.get(inner[0]) or f"values that are each {_describe(inner[0])}"
    amount = "" if inner[1:] == (...,) else f"{len(inner)} "
    return f"{amount}{name} separated by commas"


def _add_flag(parser: _Parser, cls: type[Any], entry: Field[Any], kind: object, told: str) -> None:
    aliases = [alias for alias, name in getattr(cls, "ALIASES", {}).items() if name == entry.name]
    names = list(map(_flag, [entry.name, *aliases]))
    default = "required" if entry.default is MISSING else f"default: {_shown(entry.default)}"
    text = f"{told} ({default})".replace("%", "%%")
    common: dict[str, Any] = {"dest": entry.name, "default": argparse.SUPPRESS, "help": text}
    if kind is bool:
        parser.add_argument(*names, action=argparse.BooleanOptionalAction, **common)
    elif entry.metadata == REPEATED:
        parser.add_argument(*names, action="append", metavar="VALUE", **common)
    else:
        parser.add_argument(*names, metavar="VALUE", **common)


def _read_flag(entry: Field[Any], kind: object, given: Any) -> Any:
    if isinstance(given, str):
        return read_value(_flag(entry.name), given, kind)
    return tuple(given) if isinstance(given, list) else given  # strings of a repeated flag, or a bool


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _told(cls: type[Any]) -> dict[str, str]:
    """Return the descriptions of attributes in the docstrings of a class and its bases."""
    told: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        section = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2].partition("\n\n")[0]
        told |= {name: " ".join(text.split()).rstrip(".") for name, text in _ENTRY.findall(section)}
    return told
