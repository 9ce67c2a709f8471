"""The reference's test of a machine's state as data."""

from __future__ import annotations

import json

import pytest

from asyncmachine import Machine
from tests.reference.machines import NO_RELS, ended, no_rels


@pytest.mark.reference("TestExportImport")
def test_export_and_restore() -> None:
    """A machine comes back from plain data with the same id, ticks, active order and text; no handler runs."""
    m = no_rels("A")
    m.remove("B")
    for state in "ABC":
        m.add(state)
    assert ended(m) == "(A:1 B:1 C:1) [D:0]"
    again = Machine.restore(NO_RELS, json.loads(json.dumps(m.export())))
    assert (again.id, str(again), again.time(), again.active_states()) == (m.id, str(m), m.time(), m.active_states())


@pytest.mark.reference("TestExportImport")
def test_data_of_another_machine_are_refused() -> None:
    """States that the schema does not have cannot be restored."""
    with pytest.raises(KeyError, match="'E'"):
        Machine.restore(NO_RELS, {"states": ["A", "E"], "time": [1, 0]})
