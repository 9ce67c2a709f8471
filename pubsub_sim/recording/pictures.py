"""Pictures of machines: those of a version as it describes them, and the ones that README shows. The command `pictures`."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from asyncmachine.export.diagrams import draw
from asyncmachine.export.errors import ExportError
from asyncmachine.export.files import write_whole
from asyncmachine.export.relation_graph import RelationGraph
from pubsub_sim.drivers.versions import describe_version
from pubsub_sim.errors import PubsubSimError
from pubsub_sim.places import data_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONNECTION: Final[dict[str, dict[str, Any]]] = {
    "Start": {},
    "Connecting": {"auto": True, "require": ["Start"], "remove": ["Connected"]},
    "Connected": {"require": ["Start"], "remove": ["Connecting"]},
}
"""README's first machine; a test compares the two."""

STARTED: Final = ("Start", "Connecting")
"""What is active in it once `Start` was added."""

_NO_WORD = re.compile(r"[^a-z0-9]+")


class UndrawnPictureError(PubsubSimError):
    """Pictures that cannot be drawn or written.

    Attributes:
        reason: why, in a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Parser(argparse.ArgumentParser):
    """Refuses in one sentence instead of printing its usage."""

    def error(self, message: str) -> NoReturn:
        raise UndrawnPictureError(f"{message}; --help lists the flags")


def graph_of(machine: Mapping[str, Any]) -> RelationGraph:
    """Give the diagram of a machine as a version describes it: `name`, and `states` with their relations."""
    states = {str(state.get("name", "")): state for state in machine.get("states", ())}
    return RelationGraph.of(states, name=str(machine.get("name", "")))


def drawn(machine: Mapping[str, Any]) -> str:
    """Draw a machine as a version describes it, as SVG.

    Raises:
        ExportError: there is no program that draws, or it fails.
    """
    return draw(graph_of(machine))


def readme_pictures() -> dict[str, str]:
    """Draw the pictures that README shows: file name to SVG.

    Raises:
        ExportError: there is no program that draws, or it fails.
    """
    pictures = {"connection.svg": draw(RelationGraph.of(CONNECTION, name="Connection", active=STARTED))}
    for machine in describe_version("states")["machines"]:
        pictures[f"{_NO_WORD.sub('-', machine['name'].lower())}.svg"] = drawn(machine)
    return pictures


def default_out() -> Path:
    """Give the folder of the pictures: the one that is committed, or outside a clone `pictures` in the current folder."""
    return data_folder() / "pictures"


def pictures_command(arguments: Sequence[str]) -> int:
    """Draw the pictures that README shows, or compare those that are there.

    Returns:
        0, or 1 if pictures that were to be checked are not what is drawn now.

    Raises:
        PubsubSimError: bad flags, nothing that draws, or a folder that cannot be written.
    """
    parser = _Parser(prog="python -m pubsub_sim pictures", description="Draw README's pictures.", allow_abbrev=False)
    parser.add_argument("--out", type=Path, default=None, help="folder of the pictures (default: data/pictures)")
    parser.add_argument("--check", action="store_true", help="write nothing; say whether the pictures are current")
    options = parser.parse_args(arguments)
    folder: Path = options.out or default_out()
    try:
        pictures = {name: svg.encode() for name, svg in readme_pictures().items()}
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
