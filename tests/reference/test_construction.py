"""The reference's tests of making machines."""

from __future__ import annotations

from typing import Any

import pytest

from asyncmachine import Event, LogLevel, Machine, SchemaError
from tests.reference.machines import no_rels

SCHEMA: dict[str, Any] = {"A": {}, "Exception": {"multi": True}}


class Handlers:
    """Notes its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def AState(self, e: Event) -> None:
        self.calls.append(e.name)


@pytest.mark.reference("TestNewCommon")
def test_a_machine_with_an_id_and_handlers() -> None:
    """Id and handlers are given to the constructor."""
    handlers = Handlers()
    m = Machine(SCHEMA, id="foo", handlers=handlers)
    m.add("A")
    assert (m.id, handlers.calls, m.state_names) == ("foo", ["AState"], ("A", "Exception"))


@pytest.mark.reference("TestNewCommonLessCommon")
def test_a_machine_with_a_parent() -> None:
    """A child has settings of its own; a schema that contradicts itself makes no machine."""
    parent = Machine({"A": {}}, slow_handler_s=0.01)
    m = Machine(SCHEMA, id="foo", parent=parent, log_level=LogLevel.CHANGES)
    assert m.parent is parent
    assert (m.slow_handler_s, parent.slow_handler_s) == (None, 0.01)
    assert (m.log_level, parent.log_level) == (LogLevel.CHANGES, LogLevel.NOTHING)
    with pytest.raises(SchemaError, match="'B'"):
        Machine({"A": {"require": ["B"]}})


@pytest.mark.reference("TestOpts")
def test_options() -> None:
    """Options can be read as they were given, and tags can be changed."""
    parent = no_rels()
    m = Machine({}, parent=parent, log_level=LogLevel.CHANGES, queue_limit=10, tags=["a", "b"])
    assert (m.parent, m.tags, m.queue_limit, m.log_level) == (parent, ("a", "b"), 10, LogLevel.CHANGES)
    assert m.state_names == ("Exception",)
    m.tags = ("c",)
    assert m.tags == ("c",)
