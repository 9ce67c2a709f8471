"""A compact encoding of integer columns for a page: differences, transposed by bytes and compressed."""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def packed(header: Mapping[str, Any], columns: Mapping[str, Sequence[int]]) -> str:
    """Pack a header and columns into base64 text.

    Differences of neighbours are stored as unsigned numbers (the sign is the lowest bit), all lowest bytes first, then all
    second ones and so on, as many as the largest difference needs. `columns` of the stored header lists name, length and
    bytes per number. The output is deterministic.

    Args:
        header: A JSON object.
        columns: Integers of at most 53 bits, by name.
    """
    import numpy as np

    described, parts = [], []
    for name, values in columns.items():
        numbers = np.asarray(values, dtype=np.int64)
        steps = np.diff(numbers, prepend=np.int64(0))
        unsigned = ((steps << 1) ^ (steps >> 63)).astype("<u8")
        width = max(1, (int(unsigned.max(initial=0)).bit_length() + 7) // 8)
        described.append([name, len(numbers), width])
        parts.append(unsigned.view(np.uint8).reshape(-1, 8)[:, :width].T.tobytes())
    text = json.dumps({**header, "columns": described}, ensure_ascii=False, separators=(",", ":")).encode(
        errors="replace"
    )
    return base64.b64encode(zlib.compress(b"".join([len(text).to_bytes(4, "little"), text, *parts]), 9)).decode()


def unpacked(text: str) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Decode the output of `packed`.

    Returns:
        The header, and the columns by name.
    """
    import numpy as np

    raw = zlib.decompress(base64.b64decode(text))
    at = 4 + int.from_bytes(raw[:4], "little")
    header = json.loads(raw[4:at])
    columns = {}
    for name, amount, width in header.pop("columns"):
        planes = np.zeros((amount, 8), np.uint8)
        planes[:, :width] = np.frombuffer(raw, np.uint8, amount * width, at).reshape(width, amount).T
        at += amount * width
        unsigned = planes.view("<u8").reshape(-1)
        steps = (unsigned >> np.uint64(1)).astype(np.int64) ^ -(unsigned & np.uint64(1)).astype(np.int64)
        columns[name] = np.cumsum(steps).tolist()
    return header, columns
