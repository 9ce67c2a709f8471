"""The errors of records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncmachine.errors import AsyncMachineError, close_matches

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class RecordError(AsyncMachineError):
    """Base of the errors of records."""


class RecordFileError(RecordError):
    """A file cannot be used as a record.

    Attributes:
        path: The file.
        problem: The problem.
    """

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path} {problem}")


class MissingRecordError(RecordFileError):
    """Raised when the file does not exist."""


class NotARecordError(RecordFileError):
    """Raised when a file is not a record."""


class RecordVersionError(RecordFileError):
    """Raised when a record was written by a newer version of the library.

    Attributes:
        version: The version of the file's format.
        known: The newest version this reader knows.
    """

    def __init__(self, path: Path, version: int, known: int) -> None:
        self.version = version
        self.known = known
        super().__init__(path, f"is a record of format {version}; this library reads formats up to {known}")


class DamagedRecordError(RecordFileError):
    """Raised when a record is truncated or damaged."""


class UnwritableRecordError(RecordFileError):
    """Raised when a record cannot be created or written."""


class UnknownMachineError(RecordError, KeyError):
    """Raised when a record contains no machine of an id or number.

    Attributes:
        machine: The id or number.
        matches: Known ids similar to it.
    """

    def __init__(self, machine: object, known: Iterable[str]) -> None:
        self.machine = machine
        self.matches = close_matches(machine, known) if isinstance(machine, str) else ()
        hint = f"; did you mean {' or '.join(map(repr, self.matches))}?" if self.matches else ""
        super().__init__(f"the record contains no machine {machine!r}{hint}")

    def __str__(self) -> str:
        return str(self.args[0])


class UnknownTransitionError(RecordError, KeyError):
    """Raised when a record contains no transition of a number.

    Attributes:
        seq: The number.
        first: The first number in the record, 0 if it has none.
        last: The last one.
    """

    def __init__(self, seq: object, first: int, last: int) -> None:
        self.seq = seq
        self.first = first
        self.last = last
        held = f"it contains {first} to {last}" if last else "it contains none"
        super().__init__(f"the record contains no transition {seq!r}: {held}")

    def __str__(self) -> str:
        return str(self.args[0])
