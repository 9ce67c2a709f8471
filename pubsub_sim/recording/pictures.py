"""Pictures of machines and of one message: from a version's description, and for README and the guides.

The command `pictures` draws the latter.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from asyncmachine import Event, Machine
from asyncmachine.export.diagrams import draw
from asyncmachine.export.errors import ExportError
from asyncmachine.export.files import write_whole
from asyncmachine.export.relation_graph import RelationGraph
from asyncmachine.export.steps import steps_diagram
from asyncmachine.record import Record, Recorder
from pubsub_sim.drivers.versions import describe_version
from pubsub_sim.errors import RunError
from pubsub_sim.places import data_folder
from pubsub_sim.recording.sequence import message_sequence
from pubsub_sim.scenarios.one_message import OneMessage, one_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONNECTION: Final[dict[str, dict[str, Any]]] = {
    "Start": {},
    "Connecting": {"auto": True, "require": ["Start"], "remove": ["Connected"]},
    "Connected": {"require": ["Start"], "remove": ["Connecting"]},
}
"""README's first machine; a test compares the two."""

STARTED: Final = ("Start", "Connecting")
"""Its active states after adding `Start`."""

DOWNLOAD: Final[dict[str, dict[str, Any]]] = {
    "Online": {},
    "Loading": {"require": ["Online"]},
    "Paused": {"require": ["Online"], "remove": ["Loading"]},
    "Done": {"add": ["Idle"], "remove": ["Loading", "Paused"]},
    "Idle": {},
}
"""The machine with relations in the guide of asyncmachine; a test compares the two."""

_NO_WORD = re.compile(r"[^a-z0-9]+")


class UndrawnPictureError(RunError):
    """Pictures that cannot be drawn or written.

    Attributes:
        reason: the reason, as a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Parser(argparse.ArgumentParser):
    """A parser that raises one-sentence errors instead of printing its usage."""

    def error(self, message: str) -> NoReturn:
        raise UndrawnPictureError(f"{message}; --help lists the flags")


def graph_of(machine: Mapping[str, Any]) -> RelationGraph:
    """Return the diagram of a machine from a version's description: `name`, and `states` with their relations."""
    states = {str(state.get("name", "")): state for state in machine.get("states", ())}
    return RelationGraph.of(states, name=str(machine.get("name", "")))


def drawn(machine: Mapping[str, Any]) -> str:
    """Draw a machine from a version's description as SVG.

    Raises:
        ExportError: no drawing program is installed, or it failed.
    """
    return draw(graph_of(machine))


class _ConnectionHandlers:
    """The handlers of README's first machine, without bodies."""

    def ConnectedEnter(self, e: Event) -> bool:
        return True

    def ConnectedState(self, e: Event) -> None:
        pass


def transition_picture() -> str:
    """Draw as SVG the steps of the transition in which README's first machine becomes connected."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.sqlite"
        with Recorder(path, level="full") as recorder:
            machine = Machine(CONNECTION, id="connection", handlers=_ConnectionHandlers(), tracers=[recorder])
            machine.add("Start")
            machine.add("Connected")
        with Record.open(path) as record:
            return steps_diagram(record.operations()[record.find("connection-3")].steps)


def guide_pictures() -> dict[str, str]:
    """Draw the pictures of README and the guides; return SVGs by file name.

    Raises:
        ExportError: no drawing program is installed, or it failed.
    """
    pictures = {
        "connection.svg": draw(RelationGraph.of(CONNECTION, name="Connection", active=STARTED)),
        "download.svg": draw(RelationGraph.of(DOWNLOAD, name="Download")),
        "transition.svg": transition_picture(),
        "message.svg": message_sequence(one_message(OneMessage(version="baseline"))),
    }
    for machine in describe_version("states")["machines"]:
        pictures[f"{_NO_WORD.sub('-', machine['name'].lower())}.svg"] = drawn(machine)
    return pictures


def default_out() -> Path:
    """Return the folder of the pictures: the committed one, or outside a clone `pictures` in the current folder."""
    return data_folder() / "pictures"


def pictures_command(arguments: Sequence[str]) -> int:
    """Draw the pictures of README and the guides, or check the existing ones.

    Returns:
        0, or 1 if checked pictures are outdated.

    Raises:
        PubsubSimError: invalid flags, no drawing program, or a folder that cannot be written.
    """
    parser = _Parser(
        prog="python -m pubsub_sim pictures",
        description="Draw the pictures of README and the guides.",
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Path, default=None, help="folder of the pictures (default: data/pictures)")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; report whether the pictures are up to date"
    )
    options = parser.parse_args(arguments)
    folder: Path = options.out or default_out()
    try:
        pictures = {name: svg.encode() for name, svg in guide_pictures().items()}
        if options.check:
            return _check(folder, pictures)
        for name, content in pictures.items():
            sys.stdout.write(f"{name}: {write_whole(folder / name, [content]):,} bytes\n")
    except ExportError as error:
        raise UndrawnPictureError(str(error)) from error
    return 0


def _check(folder: Path, pictures: Mapping[str, bytes]) -> int:
    there = {path.name: path.read_bytes() for path in folder.glob("*.svg")}
    stale = [name for name, content in pictures.items() if there.get(name) != content]
    verdict = f"not what is drawn now: {', '.join(stale)}; draw them again" if stale else "what is drawn now"
    sys.stdout.write(f"the pictures are {verdict}\n")
    return int(bool(stale))
