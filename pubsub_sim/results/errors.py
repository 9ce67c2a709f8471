"""Errors of stored results, each with a remedy in its message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


class ResultsError(DataError):
    """Base of the errors of stored results."""


class UnwritableFolderError(ResultsError):
    """A folder for results cannot be created or written.

    Attributes:
        folder: the folder as given.
        reason: the operating system's error message.
    """

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(folder, reason)
        self.folder = folder
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot write results to {self.folder}: {self.reason}; choose another folder or change its permissions"


class BusyFolderError(ResultsError):
    """Another sweep is writing to a folder.

    Attributes:
        folder: the folder as given.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder

    def __str__(self) -> str:
        return f"another sweep is writing to {self.folder}; wait for it or choose another folder"


class TruncatedFileError(ResultsError):
    """A Parquet file is truncated or damaged.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"{self.path} is not a whole Parquet file; run the sweep again, which moves it aside and measures its pair "
            "again, or delete it"
        )


class UnreadableFileError(ResultsError):
    """A file cannot be read because of the operating system.

    Attributes:
        path: the file.
        reason: the operating system's error message.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot read {self.path}: {self.reason}; change its permissions or move it out of the folder"


class PackedRunsError(ResultsError):
    """Runs must be measured, but the folder contains packed runs.

    Attributes:
        folder: the folder as given.
        reason: the reason, as text.
    """

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(folder, reason)
        self.folder = folder
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.folder} holds packed runs: {self.reason}; choose another folder"


class WrongSchemaError(ResultsError):
    """A complete Parquet file was not written by this store, or by another version of it.

    Attributes:
        path: the file.
        difference: the difference, as text.
    """

    def __init__(self, path: Path, difference: str) -> None:
        super().__init__(path, difference)
        self.path = path
        self.difference = difference

    def __str__(self) -> str:
        return f"{self.path} does not hold runs in the expected form ({self.difference}); move it out of the folder"


class EngineFileError(ResultsError):
    """A file of the engine's benchmark is truncated, or was written by another program.

    Attributes:
        path: the file.
        difference: the problem, as text.
    """

    def __init__(self, path: Path, difference: str) -> None:
        super().__init__(path, difference)
        self.path = path
        self.difference = difference

    def __str__(self) -> str:
        return (
            f"{self.path} does not hold a benchmark of the engine in the expected form ({self.difference}); delete it, "
            "and `python -m pubsub_sim engine` measures it again"
        )


class NoRunsError(ResultsError):
    """A folder contains no stored runs.

    Attributes:
        folder: the folder as given.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder

    def __str__(self) -> str:
        return f"{self.folder} holds no stored runs; run a sweep first, or name another folder"
