"""Options of a report: the sweep and the published figures beside it. They are checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pubsub_sim.errors import OptionError
from pubsub_sim.parameters import Parameters
from pubsub_sim.places import shipped, sweeps_folder, sweeps_place

if TYPE_CHECKING:
    from pathlib import Path


LOCAL, PUBLISHED = "local-default", "published"
"""The sweep that is measured here if nobody says otherwise, and the one that every clone has."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions(Parameters):
    """What a report is about.

    Attributes:
        sweep: a folder with runs below data/raw, outside a clone below the current folder, or an absolute one; "" for
            `LOCAL` or, where that was never measured, `PUBLISHED`. The report names the one it shows.
        reference: published figures shown beside the sweep, a dataset below data/reference; "" for none.

    Raises:
        OptionError: a name that does not exist; the sentence lists those that do.
    """

    sweep: str = ""
    reference: str = "published-2024"

    def __post_init__(self) -> None:
        for name in ("sweep", "reference"):
            if not isinstance(getattr(self, name), str):
                raise OptionError(name, getattr(self, name), "a name")
        if not _holds_runs(self.folder):
            known = ", ".join(sweeps())
            there = (
                f"there are {known}" if known else "there is none yet: measure one with `python -m pubsub_sim sweep`"
            )
            raise OptionError("sweep", self.sweep, f"a sweep in {sweeps_place()} ({there})")
        if self.reference and self.reference not in references():
            known = ", ".join(references())
            raise OptionError("reference", self.reference, f'a dataset in data/reference (there are {known}) or ""')

    @property
    def folder(self) -> Path:
        """The folder of the sweep."""
        raw = sweeps_folder()
        return raw / (self.sweep.strip() or (LOCAL if _holds_runs(raw / LOCAL) else PUBLISHED))

    @property
    def reference_file(self) -> Path | None:
        """The file of the published figures, None if there are to be none."""
        return reference_file(self.reference)


def reference_file(name: str) -> Path | None:
    """Give the file of a published dataset, None for the name ""."""
    return shipped("data/reference") / f"{name}.csv" if name else None


def sweeps() -> tuple[str, ...]:
    """List the folders of sweeps that hold runs."""
    raw = sweeps_folder()
    return tuple(sorted(path.name for path in raw.iterdir() if _holds_runs(path))) if raw.is_dir() else ()


def references() -> tuple[str, ...]:
    """List the published datasets."""
    return tuple(sorted(path.stem for path in shipped("data/reference").glob("*.csv")))


def _holds_runs(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("*.parquet"))
