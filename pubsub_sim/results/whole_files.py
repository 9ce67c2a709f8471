"""Atomic writes of files: a file is written under a hidden name, then renamed."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from pubsub_sim.results.errors import UnwritableFolderError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa


def put_whole(content: bytes | pa.Buffer, path: Path) -> None:
    """Write a file atomically: hidden name, fsync, rename.

    Args:
        content: the content.
        path: the final name; an existing file is replaced.

    Raises:
        UnwritableFolderError: the folder cannot be created or written, or the disk is full.
    """
    put_together({path: content})


def put_together(contents: Mapping[Path, bytes | pa.Buffer]) -> None:
    """Write several files: none is renamed before all of them are on disk.

    Args:
        contents: contents by final name; existing files are replaced.

    Raises:
        UnwritableFolderError: a folder cannot be created or written, or the disk is full.
    """
    hidden = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in contents}
    place = next(iter(contents)).parent
    try:
        for path, content in contents.items():
            place = path.parent
            place.mkdir(parents=True, exist_ok=True)
            with hidden[path].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path in contents:
            place = path.parent
            hidden[path].replace(path)
    except OSError as error:
        raise UnwritableFolderError(place, error.strerror or str(error)) from error
    finally:
        for leftover in hidden.values():
            with contextlib.suppress(OSError):
                leftover.unlink(missing_ok=True)
