"""Errors of exporting a report. One class per case, each with what to do about it."""

from __future__ import annotations

from pubsub_sim.errors import CallerError, PubsubSimError, RunError


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
