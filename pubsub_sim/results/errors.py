"""Errors of stored results, each with a remedy in its message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


class ResultsError(DataError):
    """Base of the errors of stored results."""


class FolderError(ResultsError):
    """Base of errors of a folder of results.

    Attributes:
        folder: the folder as it was given.
        reason: why, in words; empty where the class says all there is to say.
    """

    _sentence = "{folder}: {reason}"

    def __init__(self, folder: Path, reason: str = "") -> None:
        super().__init__(self._sentence.format(folder=folder, reason=reason))
        self.folder = folder
        self.reason = reason


class FileError(ResultsError):
    """Base of errors of a file of results.

    Attributes:
        path: the file as it was found.
        reason: why, in words; empty where the class says all there is to say.
    """

    _sentence = "{path}: {reason}"

    def __init__(self, path: Path, reason: str = "") -> None:
        super().__init__(self._sentence.format(path=path, reason=reason))
        self.path = path
        self.reason = reason


class UnwritableFolderError(FolderError):
    """Raised when a folder for results cannot be made or written, for the operating system's reason."""

    _sentence = "cannot write results to {folder}: {reason}; choose another folder or change its permissions"


class BusyFolderError(FolderError):
    """Raised when another sweep is writing to a folder."""

    _sentence = "another sweep is writing to {folder}; wait for it or choose another folder"


class PackedRunsError(FolderError):
    """Raised when runs must be measured, but packed runs in the same folder stand in the way."""

    _sentence = "{folder} holds packed runs: {reason}; choose another folder"


class NoRunsError(FolderError):
    """Raised when there is nothing to read in a folder."""

    _sentence = "{folder} holds no stored runs; run a sweep first, or name another folder"


class TruncatedFileError(FileError):
    """Raised when a Parquet file is not whole."""

    _sentence = (
        "{path} is not a whole Parquet file; run the sweep again, which moves it aside and measures its pair again, or "
        "delete it"
    )


class UnreadableFileError(FileError):
    """Raised when the operating system does not let a file be read, for its reason."""

    _sentence = "cannot read {path}: {reason}; change its permissions or move it out of the folder"


class WrongSchemaError(FileError):
    """Raised when a Parquet file is whole but was not written by this store, or by another version of it."""

    _sentence = "{path} does not hold runs in the expected form ({reason}); move it out of the folder"


class EngineFileError(FileError):
    """Raised when a file of the engine's benchmark is not whole, or was written by something else."""

    _sentence = (
        "{path} does not hold a benchmark of the engine in the expected form ({reason}); delete it, and "
        "`python -m pubsub_sim engine` measures it again"
    )
