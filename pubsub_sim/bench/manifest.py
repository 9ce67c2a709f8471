"""The manifest: what a sweep means to do and what it has done, in one JSON file beside its runs, always whole.

The runs themselves are the truth; the manifest says which of them belong to the sweep and why it stopped where it did.
The same sweep with the same outcomes gives the same bytes, but for the times and the widths that were measured.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pubsub_sim.results.errors import FileError
from pubsub_sim.results.whole_files import put_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pubsub_sim.bench.grid import Pair
    from pubsub_sim.bench.options import SweepOptions
    from pubsub_sim.bench.stopping import Stop
    from pubsub_sim.results import RunRecord

FILE = "manifest.json"
"""Name of the manifest in the folder of a sweep."""

_SCHEMA = 1
_NO_MATTER = (
    "out",
    "measure",
    "retry_failed",
    "force",
    "progress",
    "executor",
    "scheduler",
    "dask_workers",
    "quiet_only",
    "share",
)
"""Options that change how a sweep is made and not what it is."""


class ForeignManifestError(FileError):
    """Raised when the folder of a sweep holds a file with the manifest's name that is no manifest."""

    _sentence = (
        "{path} is no manifest of a sweep and would be replaced; choose another folder or move it out of this one"
    )


class Manifest:
    """The manifest of one sweep.

    Args:
        folder: of the sweep.
        options: what is asked for.

    Raises:
        ForeignManifestError: the folder holds a file of that name that is something else.
    """

    def __init__(self, folder: Path, options: SweepOptions) -> None:
        self._path = folder / FILE
        self._options = {name: value for name, value in asdict(options).items() if name not in _NO_MATTER}
        self._options["programs"] = list(options.commands)  # their commands are this machine's business
        self._known_utc = _times(self._path)
        self._runs: dict[str, dict[str, Any]] = {}
        self._stops: list[dict[str, Any]] = []

    def plan(self, pairs: Iterable[Pair]) -> None:
        """Add runs that are to be made."""
        for pair in pairs:
            for order, run in enumerate(pair.runs, start=pair.first):
                entry = {"file": run.file_name(), "kind": run.kind, "order": order, "outcome": None, "utc": None}
                self._runs[run.file_name()] = entry

    def note(self, record: RunRecord) -> None:
        """Note how a run ended."""
        entry = self._runs[record.parameters.file_name()]
        entry["outcome"] = record.outcome
        utc = record.provenance.get("utc")
        entry["utc"] = utc if isinstance(utc, str) else self._known_utc.get(entry["file"])  # packed runs have a span

    def decide(self, stops: Sequence[Stop]) -> None:
        """Note what was decided about the cells."""
        self._stops = [asdict(stop) for stop in stops]

    def text(self) -> str:
        """Give the manifest as it is stored."""
        runs = list(self._runs.values())
        head = {
            "schema": _SCHEMA,
            "options": self._options,
            "planned": len(runs),
            "done": sum(run["outcome"] is not None for run in runs),
            "stopping": self._stops,
        }
        body = ",\n".join(f"  {json.dumps(run)}" for run in runs)
        return json.dumps(head, indent=1)[:-2] + f',\n "runs": [\n{body}\n ]\n}}\n'

    def write(self) -> None:
        """Replace the stored manifest as a whole.

        Raises:
            UnwritableFolderError: the folder cannot be written.
        """
        put_whole(self.text().encode(), self._path)


def check_place(folder: Path) -> None:
    """Refuse a folder in which a manifest would replace something else.

    Raises:
        ForeignManifestError: it holds a file of that name that is no manifest.
    """
    _times(folder / FILE)


def copy(source: Path, target: Path) -> Path | None:
    """Copy the manifest of one folder into another; None if there is none.

    Raises:
        ForeignManifestError: one of them is no manifest.
        UnwritableFolderError: the target cannot be written.
    """
    if not (source / FILE).exists():
        return None
    check_place(source)
    check_place(target)
    put_whole((source / FILE).read_bytes(), target / FILE)
    return target / FILE


def _times(path: Path) -> dict[str, str | None]:
    """Give when the runs of an earlier manifest were made, by their files."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_bytes())
        return {str(run["file"]): run["utc"] for run in found["runs"] if found["schema"] == _SCHEMA}
    except (OSError, ValueError, KeyError, TypeError):
        raise ForeignManifestError(path) from None
