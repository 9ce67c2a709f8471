"""Compression of a tagged PDF to about half its size: its many small structure objects are packed and deflated.

Object streams and cross-reference streams: ISO 32000-1 (PDF 1.5 and later), sections 7.5.7 and 7.5.8.
"""

from __future__ import annotations

import re
import zlib
from itertools import pairwise

_TABLE = re.compile(
    rb"xref\s+0 (\d+)\s+((?:\d{10} \d{5} [fn]\s{1,2})+)trailer\s*<<(.*)>>\s*startxref\s+\d+\s+%%EOF\s*$", re.DOTALL
)
_ENTRY = re.compile(rb"(\d{10}) \d{5} ([fn])")
_TAG = re.compile(rb"\d+ 0 obj\s*(<<.*>>)\s*endobj\s*", re.DOTALL)
_SIZE = re.compile(rb"/Size \d+")
_STRUCTURE = b"/Type/StructElem"
_AT_ONCE = 500

_FREE, _PLAIN, _PACKED = range(3)


def packed(pdf: bytes) -> bytes:
    """Pack the objects of a PDF that tell its structure.

    Args:
        pdf: a document with one plain table of its objects, as Typst writes it.

    Returns:
        The same document, the same bytes for the same argument; one without such a table is given back as it is.
    """
    table = _TABLE.search(pdf)
    if table is None:
        return pdf
    objects = _objects(pdf, table)
    tags = {number: found[1] for number, body in objects.items() if _is_tag(body) and (found := _TAG.fullmatch(body))}
    out = bytearray(pdf[: min(_offsets(table).values())])
    entries: dict[int, tuple[int, int, int]] = {}
    for number, body in objects.items():
        if number not in tags:
            entries[number] = (_PLAIN, len(out), 0)
            out += body
    fresh = int(table[1])
    numbers = list(tags)
    for start in range(0, len(numbers), _AT_ONCE):
        chosen = numbers[start : start + _AT_ONCE]
        entries |= {number: (_PACKED, fresh, at) for at, number in enumerate(chosen)}
        entries[fresh] = (_PLAIN, len(out), 0)
        out += _object(fresh, *_together({number: tags[number] for number in chosen}))
        fresh += 1
    entries[fresh] = (_PLAIN, len(out), 0)
    last = len(out)
    out += _object(fresh, *_reference(entries, fresh + 1, _SIZE.sub(b"", table[3])))
    return bytes(out) + b"startxref\n%d\n%%%%EOF\n" % last


def _is_tag(body: bytes) -> bool:
    return _STRUCTURE in body and b"stream" not in body


def _offsets(table: re.Match[bytes]) -> dict[int, int]:
    found = enumerate(_ENTRY.finditer(table[2]))
    return {number: int(entry[1]) for number, entry in found if entry[2] == b"n"}


def _objects(pdf: bytes, table: re.Match[bytes]) -> dict[int, bytes]:
    """Cut the document into its objects, in the order in which they stand in it."""
    starts = sorted((offset, number) for number, offset in _offsets(table).items())
    ends = [*starts, (table.start(), 0)]
    return {number: pdf[offset:end] for (offset, number), (end, _) in pairwise(ends)}


def _object(number: int, facts: bytes, content: bytes) -> bytes:
    squeezed = zlib.compress(content, 9)
    head = b"%d 0 obj\n<<%s/Filter/FlateDecode/Length %d>>\nstream\n" % (number, facts, len(squeezed))
    return head + squeezed + b"\nendstream\nendobj\n"


def _together(tags: dict[int, bytes]) -> tuple[bytes, bytes]:
    """Give the facts and the content of the object that holds others: their numbers and places, then themselves."""
    places, at = [], 0
    for number, body in tags.items():
        places.append(b"%d %d" % (number, at))
        at += len(body) + 1
    head = b" ".join(places) + b"\n"
    return b"/Type/ObjStm/N %d/First %d" % (len(tags), len(head)), head + b"\n".join(tags.values())


def _reference(entries: dict[int, tuple[int, int, int]], size: int, facts: bytes) -> tuple[bytes, bytes]:
    """Give the facts and the content of the object that says where all objects are: kind, place, and place within it."""
    rows = (entries.get(number, (_FREE, 0, 0)) for number in range(size))
    content = b"".join(kind.to_bytes(1) + place.to_bytes(4) + within.to_bytes(2) for kind, place, within in rows)
    return b"/Type/XRef/Size %d/W[1 4 2]%s" % (size, facts), content
