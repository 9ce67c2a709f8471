"""Atomic writing of files."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from asyncmachine.export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable


class UnwritableFileError(ExportError):
    """A file cannot be written.

    Attributes:
        path: The file.
        reason: The system's error message.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"cannot write {path}: {reason}")


def write_whole(path: Path | str, chunks: Iterable[bytes]) -> int:
    """Write a file under a hidden name, then rename it, so that readers never see a partial file.

    Args:
        path: The final name; an existing file is replaced, missing folders are created.
        chunks: The content.

    Returns:
        Bytes written.

    Raises:
        UnwritableFileError: The folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    hidden = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    written = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with hidden.open("wb") as file:
            for chunk in chunks:
                written += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    except OSError as error:
        raise UnwritableFileError(path, error.strerror or str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            hidden.unlink(missing_ok=True)
    return written
