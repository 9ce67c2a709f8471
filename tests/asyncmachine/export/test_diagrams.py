"""Machines and schemas show themselves: formats, plain text, and what a notebook gets."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import nbformat
import pytest
from IPython.lib.pretty import pretty

from asyncmachine import Machine, Schema, State
from asyncmachine.export import drawing
from asyncmachine.export.diagrams import FORMATS


class Connection(Schema):
    """The machine of the README."""

    Start = State()
    Connecting = State(auto=True, require="Start", remove="Connected")
    Connected = State(require="Start", remove=Connecting)


def started() -> Machine:
    machine = Machine(Connection, id="m")
    machine.add("Start")
    return machine


TEXT = """\
m: 3 states, active: Start and Connecting
* Start
* Connecting  auto; requires Start
  Connected   requires Start
at most one of Connecting and Connected
"""


def test_text_names_states_flags_relations_and_what_is_active() -> None:
    """Of a machine with marks, of a schema without; an Exception that is active is there."""
    machine = started()
    assert machine.diagram("text") == TEXT
    assert Connection.diagram("text") == TEXT.replace("m: 3 states, active: Start and Connecting", "Connection: 3 states").replace("*", " ")  # fmt: skip
    machine.add_err(OSError("x"))
    assert machine.diagram("text").startswith("m: 4 states, active: Exception, Start and Connecting\n* Exception")
    machine.dispose()
    assert machine.diagram("text").startswith("m: 3 states, active: none\n  Start\n")


@pytest.mark.parametrize("form", FORMATS)
def test_a_machine_and_a_schema_have_every_format(form: str) -> None:
    """The active states are the difference between the two."""
    machine = Machine(Connection, id="Connection")
    machine.add("Start")
    assert machine.diagram(form) != Connection.diagram(form)
    assert machine.diagram(form) == machine.diagram(form)


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    """In one sentence, by both."""
    for thing in (Connection, started()):
        with pytest.raises(ValueError, match=r"^format must be one of 'svg', 'dot', 'mermaid', 'text', got 'png'$"):
            thing.diagram("png")


def test_a_state_may_be_called_diagram() -> None:
    """It shadows the schema's method and nothing else: machine and notebook still draw."""

    class Drawn(Schema):
        diagram = State()

    assert Drawn.diagram == "diagram"
    assert "diagram" in Machine(Drawn).diagram("text")
    assert "diagram" in Drawn._repr_mimebundle_()["text/plain"]
    assert Schema.of({"diagram": {"multi": True}}).to_dict()["diagram"] == {"multi": True}


def test_a_notebook_is_offered_svg_and_text_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """And the text alone, with the reason, where nothing draws: showing a machine never raises."""
    machine = started()
    bundle = machine._repr_mimebundle_(include=None, exclude=None)
    assert bundle == {"image/svg+xml": machine.diagram(), "text/plain": TEXT}
    assert bundle["image/svg+xml"].startswith("<svg")
    monkeypatch.setattr(drawing, "PACKAGE", "there-is-no-such-package")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert set(machine._repr_mimebundle_()) == set(Connection._repr_mimebundle_()) == {"text/plain"}
    assert "(no picture: a picture needs the package" in machine._repr_mimebundle_()["text/plain"]


def test_the_text_of_a_class_is_the_diagrams_in_a_notebook_too() -> None:
    """IPython has texts of its own for classes and strings; inside a list a class is its name, as ever."""
    assert pretty(Connection) == Connection.diagram("text").rstrip()
    assert pretty([Connection]) == f"[{Connection!r}]"
    assert pretty(Connection.diagram()).startswith("a picture: ")


@pytest.mark.xdist_group("kernels")
def test_a_machine_a_schema_and_a_diagram_are_pictures_in_a_notebook() -> None:
    """As the last expression of a cell, executed in a kernel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nbclient import NotebookClient
        from traitlets.config import Config

    prepared = (
        "from asyncmachine import Machine, Schema, State\n"
        "class Door(Schema):\n    Open = State(remove='Closed')\n    Closed = State(remove='Open')\n"
        "door = Machine(Door, id='door')\ndoor.add('Open')\n"
    )
    sources = [prepared + "door", "Door", "door.diagram()", "Machine", "[Door]"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    quiet = Config(KernelManager={"transport_encryption": "auto"})
    done = NotebookClient(notebook, timeout=60, config=quiet).execute()
    shown = [cell.outputs[-1].data for cell in done.cells]
    for data, active in zip(shown[:3], (True, False, True), strict=True):
        assert set(data) == {"image/svg+xml", "text/plain"}
        assert data["image/svg+xml"].startswith("<svg")
        assert ("filled: active" in data["image/svg+xml"]) is active
    assert shown[0]["text/plain"].startswith("door: 2 states, active: Open\n")
    assert shown[1]["text/plain"].startswith("Door: 2 states\n")
    assert shown[2]["text/plain"].startswith("a picture: ")
    assert set(shown[3]) == {"text/plain"}, "the class Machine itself is no machine"
    assert shown[4] == {"text/plain": "[<class '__main__.Door'>]"}


def test_showing_changes_nothing() -> None:
    """Also from inside a handler, in the middle of a transition."""

    class Handlers:
        def ConnectedState(self, e: Any) -> None:
            pictures.append(e.machine.diagram("text"))

    async def main() -> None:
        machine = Machine(Connection, id="m", handlers=Handlers())
        machine.add("Start")
        before = machine.export()
        machine.diagram("dot")
        assert machine.export() == before
        machine.add("Connected")

    pictures: list[str] = []
    asyncio.run(main())
    assert pictures[0].startswith("m: 3 states, active: Start and Connected\n")
