"""Errors of the report. One class per case, each with what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.errors import CallerError, DataError, PubsubSimError, RunError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ReportError(PubsubSimError):
    """Base of the errors of the report room."""


class MixedConditionsError(ReportError, DataError):
    """The runs of one sweep were not measured under the same conditions.

    Attributes:
        condition: the parameter that differs.
        values: its values.
    """

    def __init__(self, condition: str, values: Sequence[str]) -> None:
        super().__init__(condition, values)
        self.condition = condition
        self.values = tuple(values)

    def __str__(self) -> str:
        found = " and ".join(self.values)
        return f"this sweep mixes runs with {self.condition} {found}; measure each into a folder of its own"


class NothingInCommonError(ReportError, DataError):
    """Two sweeps have no cell in which both compare the same versions under the same condition.

    Attributes:
        one: name of a sweep.
        other: name of the other.
    """

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one, other)
        self.one = one
        self.other = other

    def __str__(self) -> str:
        return (
            f"the sweeps {self.one!r} and {self.other!r} have no cell in common in which both compare the same versions under "
            "the same condition"
        )


class NotebookFailedError(ReportError, RunError):
    """The notebook of a report did not run to its end.

    Attributes:
        reason: the error's own words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class UnwritableReportError(ReportError, DataError):
    """The folder of the report cannot be made or written.

    Attributes:
        folder: the folder as it was given.
        reason: the operating system's reason, in words.
    """

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(folder, reason)
        self.folder = folder
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot write the report to {self.folder}: {self.reason}; choose another folder with --out"


class ForeignFilesError(ReportError, DataError):
    """The folder of the report holds files that are no part of a report and would be lost.

    Attributes:
        folder: the folder as it was given.
        names: what is there.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        super().__init__(folder, names)
        self.folder = folder
        self.names = tuple(names)

    def __str__(self) -> str:
        more = " and more" if len(self.names) > 1 else ""
        return f"{self.folder} is no folder of a report, it holds {self.names[0]}{more}; choose another with --out"


class ExportError(PubsubSimError):
    """Base of the errors of the exporters."""


class DuplicateFigureNameError(ExportError, CallerError):
    """Two outputs of a notebook ask for the same figure name.

    Attributes:
        name: the name.
        cells: positions of both cells among those that the report shows, counted from 1.
    """

    def __init__(self, name: str, cells: tuple[int, int]) -> None:
        super().__init__(name, cells)
        self.name = name
        self.cells = cells

    def __str__(self) -> str:
        first, second = self.cells
        return (
            f"two figures are named {self.name!r}, in cell {first} and in cell {second} of the report; "
            "give each figure its own filename in the metadata of its output"
        )


class TypesettingError(ExportError, RunError):
    """A program refused the document.

    Attributes:
        program: pandoc or Typst.
        said: its message.
    """

    def __init__(self, program: str, said: str) -> None:
        super().__init__(program, said)
        self.program = program
        self.said = said

    def __str__(self) -> str:
        return f"{self.program} could not typeset the report: {self.said.strip()}"
