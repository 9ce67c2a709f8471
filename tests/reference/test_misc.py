"""The reference's tests of the words it uses."""

from __future__ import annotations

import pytest

from asyncmachine import Event, LogLevel, Machine, Result, State
from asyncmachine.logs import args_mapper
from tests.reference.machines import no_rels


@pytest.mark.reference("TestResultString")
def test_results_as_text() -> None:
    """Results are written in lower case."""
    assert [str(Result.EXECUTED), str(Result.CANCELED), str(Result(3))] == ["executed", "canceled", "queued:3"]


@pytest.mark.reference("TestMutationTypeString")
def test_kinds_of_mutations() -> None:
    """A mutation is an add, a remove or a set; an eval is none."""
    kinds: list[str] = []

    class Handlers:
        def AnyEnter(self, e: Event) -> None:
            kinds.append(e.mutation.kind)

    m: Machine = no_rels()
    m.bind(Handlers())
    m.add("A")
    m.remove("A")
    m.set("B")
    m.eval(int)
    assert kinds == ["add", "remove", "set"]


@pytest.mark.reference("TestRelationString")
def test_names_of_relations() -> None:
    """Relations are written in lower case, in data too."""
    assert set(State(after="A", add="A", require="A", remove="A").to_dict()) == {"after", "add", "require", "remove"}


@pytest.mark.reference("TestLogLevelString")
def test_names_of_log_levels() -> None:
    """Levels are named, and each includes the ones before it."""
    names = [level.name.lower() for level in sorted(LogLevel)]
    assert names == ["nothing", "external", "changes", "ops", "decisions", "everything"]


@pytest.mark.reference("TestNewArgsMapper")
def test_arguments_for_the_log() -> None:
    """Only listed arguments are picked; long texts are cut, from five characters on with dots."""
    short, long = args_mapper(["arg", "arg2"], 2), args_mapper(["arg", "arg2"], 5)
    assert short({"arg": "foo"}) == {"arg": "fo"}
    assert short({"arg": "foo", "arg2": "bar", "other": "x"}) == {"arg": "fo", "arg2": "ba"}
    assert long({"arg": "foofoofoo"}) == {"arg": "fo..."}
