"""Options from a command line are read by the types of their fields, and the same options from names and values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_type_hints

import pytest

from pubsub_sim.bench.costs import CostOptions
from pubsub_sim.bench.engine import EngineOptions
from pubsub_sim.bench.equivalence import EquivalenceOptions
from pubsub_sim.bench.faults import FaultSearch
from pubsub_sim.bench.options import PackOptions, RunOptions, SweepOptions
from pubsub_sim.bench.simsub import SimsubOptions
from pubsub_sim.errors import OptionError
from pubsub_sim.flags import REPEATED, FlagError, UnreadableType, from_flags, read_value
from pubsub_sim.parameters import Parameters, UnknownParameterError
from pubsub_sim.recording.options import DiscoveryOptions, PlayOptions

COMMANDS = [
    RunOptions,
    SweepOptions,
    PackOptions,
    CostOptions,
    EngineOptions,
    EquivalenceOptions,
    FaultSearch,
    SimsubOptions,
    PlayOptions,
    DiscoveryOptions,
]


@dataclass(frozen=True, kw_only=True)
class Options(Parameters):
    """Options of each type.

    Attributes:
        name: a text.
        size: a whole number.
    """

    ALIASES: ClassVar[dict[str, str]] = {"length": "size"}

    name: str
    size: int = 1
    share: float = 0.5
    force: bool = False
    hosts: tuple[int, ...] = ()
    both: tuple[str, str] = ("a", "b")
    limit: float | None = None
    colour: Literal["red", "green"] = "red"
    commands: tuple[str, ...] = field(default=(), metadata=REPEATED)


def read(*words: str) -> Options:
    return from_flags(Options, "options", "", ["--name=x", *words])


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--name=12"], "name", "12"),
        (["--name=none"], "name", "none"),
        (["--size=-3"], "size", -3),
        (["--length=3"], "size", 3),
        (["--share=2"], "share", 2.0),
        (["--force"], "force", True),
        (["--force", "--no-force"], "force", False),
        (["--hosts=5, 10"], "hosts", (5, 10)),
        (["--hosts="], "hosts", ()),
        (["--both=1,2"], "both", ("1", "2")),
        (["--limit=3"], "limit", 3.0),
        (["--limit=none"], "limit", None),
        (["--colour=green"], "colour", "green"),
        (["--commands=a=b,c", "--commands=d"], "commands", ("a=b,c", "d")),
    ],
)
def test_text_of_a_flag_is_read_by_the_type_of_its_field(words: list[str], name: str, value: object) -> None:
    """Text stays text whatever it looks like, and a number of the field's type is made where the field is one."""
    found = getattr(read(*words), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("flag", "text", "expected"),
    [
        ("--size", "3.5", "a whole number"),
        ("--size", "many", "a whole number"),
        ("--share", "half", "a number"),
        ("--hosts", "5,x", "whole numbers separated by commas"),
        ("--both", "a", "2 texts separated by commas"),
        ("--limit", "never", "a number or 'none'"),
        ("--colour", "blue", "one of red, green"),
    ],
)
def test_text_that_is_no_value_is_refused_with_flag_value_and_what_was_expected(
    flag: str, text: str, expected: str
) -> None:
    """The three facts are attributes of the error, and all of them are in its sentence."""
    with pytest.raises(OptionError) as caught:
        read(f"{flag}={text}")
    assert (caught.value.option, caught.value.value, caught.value.expected) == (flag, text, expected)
    assert all(fact in str(caught.value) for fact in (flag, text, expected))


@pytest.mark.parametrize("words", [["--size"], ["--force=yes"]])
def test_flag_with_a_value_missing_or_too_many_is_refused(words: list[str]) -> None:
    """A number needs one, and a switch takes none."""
    with pytest.raises(FlagError, match=words[0].partition("=")[0]):
        read(*words)


def test_flag_that_is_needed_is_named() -> None:
    """As it is written on the command line."""
    with pytest.raises(FlagError, match="--name is needed"):
        from_flags(Options, "options", "", [])


def test_type_that_no_text_can_be_read_as_is_a_fault_of_the_class() -> None:
    """It is no fault of the user, so it is no error of an option."""
    with pytest.raises(UnreadableType, match="dict"):
        read_value("--table", "x", dict[str, int])


@pytest.mark.parametrize("cls", COMMANDS, ids=lambda cls: cls.__name__)
def test_default_of_every_option_can_be_given_as_a_flag(cls: type[Any]) -> None:
    """Every field of every command has a type that can be read, and its default is a value of it."""
    types = get_type_hints(cls)
    for entry in cls.__dataclass_fields__.values():
        if isinstance(entry.default, (int, float, str, tuple)):
            text = ",".join(map(str, entry.default)) if isinstance(entry.default, tuple) else str(entry.default)
            given = text.lower() if types[entry.name] is bool else text
            assert read_value(entry.name, given, types[entry.name]) == entry.default


def test_parameters_are_fields_or_aliases_and_the_later_one_counts() -> None:
    """As with assignments: papermill injects its own after those of the notebook."""
    assert Options.from_parameters({"name": "x", "size": 2, "length": 3}).size == 3
    assert Options.from_parameters({"length": 3, "size": 2}, name="x").size == 2


@pytest.mark.parametrize("given", [{"sizes": 3}, {"name": "y"}])
def test_parameter_that_does_not_exist_or_is_the_callers_is_refused(given: dict[str, Any]) -> None:
    """With the nearest name that there is, if there is one."""
    with pytest.raises(UnknownParameterError) as caught:
        Options.from_parameters(given, name="x")
    assert caught.value.option in given
    assert "name" not in caught.value.known
