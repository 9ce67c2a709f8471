"""How does a file appear? Whole or not at all: under a hidden name first, then renamed."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from pubsub_sim.results.errors import UnwritableFolderError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa


def put_whole(content: bytes | pa.Buffer, path: Path) -> None:
    """Write a file so that no reader ever sees a part of it: hidden name, fsync, rename.

    Args:
        content: what to write.
        path: the final name; a file of that name is replaced.

    Raises:
        UnwritableFolderError: the folder cannot be made or written, or the disk is full.
    """
    hidden = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with hidden.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            hidden.unlink(missing_ok=True)
        raise UnwritableFolderError(path.parent, error.strerror or str(error)) from error
