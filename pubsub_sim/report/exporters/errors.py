"""What can go wrong when a report is exported, and what to do about it?"""

from __future__ import annotations


class MissingPdfExtra(ImportError):
    """The programs that make a PDF are not installed."""

    def __init__(self, module: str) -> None:
        super().__init__(
            f"the PDF report needs {module}, which is not installed: pip install asyncmachine[pdf]", name=module
        )


class DuplicateFigureName(ValueError):
    """Two outputs of a notebook ask for the same figure name."""

    def __init__(self, name: str, first: int, second: int) -> None:
        super().__init__(
            f"figure names must be unique in a notebook: {name!r} is asked for in cell {first} and in cell {second}"
        )
        self.figure = name


class TypesettingFailed(RuntimeError):
    """pandoc or Typst refused the document."""

    def __init__(self, program: str, said: str) -> None:
        super().__init__(f"{program} could not typeset the report: {said.strip()}")
        self.program = program
