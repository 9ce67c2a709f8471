"""A packed PDF holds the same objects, and says where they are."""

from __future__ import annotations

import re
import zlib

import pytest

from pubsub_sim.report.exporters.packed_pdf import packed
from pubsub_sim.report.exporters.typesetting import Page, to_pdf, typst_compiler

pytestmark = pytest.mark.xdist_group("packed pdf")

TABLE = re.compile(rb"\d+ 0 obj\n<<(/Type/XRef/Size (\d+).*?)/Length (\d+)>>\nstream\n", re.DOTALL)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A document with a table of 600 cells, as Typst writes it."""
    cells = ", ".join(f"[{number}]" for number in range(600))
    file = tmp_path_factory.mktemp("plain") / "report.typ"
    file.write_text(f"= Title\n#table(columns: 6, table.header([a], [b], [c], [d], [e], [f]), {cells})\n")
    return bytes(typst_compiler()(file, timestamp=0))


def objects_of(pdf: bytes) -> dict[int, bytes]:
    """Follow a plain table of objects."""
    start = int(re.findall(rb"startxref\s+(\d+)", pdf)[-1])
    entries = re.findall(rb"(\d{10}) \d{5} ([fn])", pdf[start:])
    return {number: whole(pdf, int(at)) for number, (at, kind) in enumerate(entries) if kind == b"n"}


def whole(pdf: bytes, at: int) -> bytes:
    found = re.compile(rb"\d+ 0 obj\s*(.*?)\s*endobj", re.DOTALL).match(pdf, at)
    assert found is not None
    return found[1]


def unpacked(pdf: bytes) -> dict[int, bytes]:
    """Follow a packed table of objects, as a reader of PDF does."""
    start = int(re.findall(rb"startxref\s+(\d+)", pdf)[-1])
    head = TABLE.match(pdf, start)
    assert head is not None
    rows = zlib.decompress(pdf[head.end() : head.end() + int(head[3])])
    found: dict[int, bytes] = {}
    for number in range(int(head[2])):
        kind, place, within = (
            rows[number * 7],
            rows[number * 7 + 1 : number * 7 + 5],
            rows[number * 7 + 5 : number * 7 + 7],
        )
        if kind == 1:
            found[number] = whole(pdf, int.from_bytes(place, "big"))
        elif kind == 2:
            found[number] = inside(rows, pdf, int.from_bytes(place, "big"), int.from_bytes(within, "big"))
    return found


def inside(rows: bytes, pdf: bytes, holder: int, within: int) -> bytes:
    body = whole(pdf, int.from_bytes(rows[holder * 7 + 1 : holder * 7 + 5], "big"))
    first = int(re.findall(rb"/First (\d+)", body)[0])
    text = zlib.decompress(body[body.index(b"stream\n") + 7 :].removesuffix(b"\nendstream"))
    numbers = [int(word) for word in text[:first].split()]
    ends = [*numbers[3::2], len(text) - first]
    return text[first + numbers[2 * within + 1] : first + ends[within]].strip()


def test_every_object_is_still_there(plain: bytes) -> None:
    """Number by number the same, those that tell the structure and the others."""
    found = unpacked(packed(plain))
    assert {number: found[number] for number in objects_of(plain)} == objects_of(plain)
    assert sum(b"/Type/StructElem" in body for body in found.values()) > 600


def test_it_is_much_smaller_and_the_same_every_time(plain: bytes) -> None:
    """The reason for it; and reports are compared byte for byte."""
    assert len(packed(plain)) < len(plain) / 2
    assert packed(plain) == packed(plain)


def test_the_catalogue_is_named_as_before(plain: bytes) -> None:
    """A reader finds the document's root and its identity."""
    (facts,) = re.findall(rb"trailer\s*<<(.*?)>>", plain, re.DOTALL)
    kept = re.sub(rb"/Size \d+", b"", facts)
    assert kept in packed(plain)[-2000:]


def test_what_has_no_plain_table_is_left_alone(plain: bytes) -> None:
    """A packed document is not packed again."""
    once = packed(plain)
    assert packed(once) == once


def test_reports_are_packed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Typesetting gives a packed document."""
    folder = tmp_path_factory.mktemp("page")
    pdf = to_pdf("= Title\nText.", folder=folder, page=Page(title="Title"), compiler=typst_compiler())
    assert b"/Type/ObjStm" in pdf
