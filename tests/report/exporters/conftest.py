"""A notebook with everything that has ever broken an export."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbformat import NotebookNode, v4

TITLE = 'Stress: code in the title & "quotes", x^2'
CAPTION = "Median time by *hosts*, `states` [dashed] and baseline"

SVG = """<?xml version="1.0" encoding="utf-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="{width}pt" height="200pt" viewBox="0 0 400 200">
 <metadata><date>{date}</date></metadata>
 <rect width="400" height="200" fill="#dbe7f5"/>
 <path d="M 20 180 \n L 380 20 \n" stroke="#1f5fa8" stroke-width="3"/>
 <text x="30" y="40" font-family="DejaVu Sans" font-size="14">{text}</text>
</svg>
"""


def svg(text: str, width: int = 400, date: str = "2026-01-01") -> str:
    return SVG.format(text=text, width=width, date=date)


def png(width: int = 900, height: int = 300) -> str:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = b"\0" + bytes((31, 95, 168)) * (width // 2) + bytes((240, 200, 90)) * (width - width // 2)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def shown(data: dict[str, Any], **metadata: Any) -> NotebookNode:
    return v4.new_output("display_data", data=data, metadata=metadata)


def printed(text: str, name: str = "stdout") -> NotebookNode:
    return v4.new_output("stream", name=name, text=text)


def code(source: str, *outputs: NotebookNode, tags: tuple[str, ...] = ()) -> NotebookNode:
    return v4.new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def figure(name: str, text: str = "a figure", **more: Any) -> NotebookNode:
    return shown({"image/svg+xml": svg(text), "text/plain": "<Figure>"}, filename=name, **more)


def tables() -> list[NotebookNode]:
    wide = pd.DataFrame([[f"{i}.{j}" for j in range(16)] for i in range(4)])
    wide.columns = pd.Index([f"column_name_{j}" for j in range(16)])
    columns = pd.MultiIndex.from_product([["asyncio", "uvloop"], ["p50", "p99"]], names=["loop", "quantile"])
    multi = pd.DataFrame([[1.5, 2, 3, 4], [5, 6, 7, 8]], columns=columns, index=pd.Index(["x", "y"], name="kind"))
    long = pd.DataFrame({"run": range(120), "value": [i * 1.25 for i in range(120)]})
    own = "| hosts | median |\n|---:|---:|\n| 5 | 1,234.50 |\n| 20 | 2.00 |"
    return [
        code("wide", shown({"text/html": wide.to_html(), "text/plain": "wide"})),
        code("multi", shown({"text/html": f"<style>td{{color:red}}</style>{multi.to_html()}", "text/plain": "multi"})),
        code("long", shown({"text/html": long.to_html(index=False), "text/plain": "long"})),
        code("own", shown({"text/markdown": own, "text/html": "<p>HTML OF THE TABLE</p>", "text/plain": "own"})),
    ]


def prose() -> list[NotebookNode]:
    heading = '# Stress: `code` in the title & "quotes", $x^2$\n\nFirst lines: [a](#Dup-heading), [gone](#Nope), '
    maths = "Inline $\\operatorname{med}_i \\lvert t_i\\rvert$, and\n\n"
    box = '<div class="alert">An <b>alert</b></div>'
    return [
        v4.new_markdown_cell(heading + "bare https://example.org/x_y, <b>raw html</b> and @name.\n- a list\n- at once"),
        v4.new_markdown_cell("## Dup heading\n\ntext\n\n## Dup heading\n\n“quotes” … → ≤ µs 中文\n\n1. one\n2. two"),
        v4.new_markdown_cell(
            "Remote ![badge](https://example.org/badge.svg), missing ![m](nowhere.png).\n\n![Near](near.png)"
        ),
        v4.new_markdown_cell(maths + "$$\\frac{1}{n}\\sum_{i<n} x_i$$\n\nIt costs \\$5 a_b * c #hash <T>"),
        v4.new_markdown_cell("- [ ] todo\n- [x] done\n\n> quoted\n\n---\n\nline 1  \nline 2   \n\n\n\n\nend"),
        v4.new_markdown_cell(box + "\n\n<table><tr><th>h1</th><th>h2</th></tr><tr><td>1</td><td>2</td></tr></table>"),
    ]


def outputs() -> list[NotebookNode]:
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "IntSlider(value=3)"}
    script = {"text/html": '<div>plot</div><script src="https://cdn.example.org/p.js"></script>', "text/plain": "P"}
    trace = ["\x1b[31mValueError\x1b[0m", "ValueError: ~~~~~~~~ bad"]
    return [
        code("named", figure("median-by-hosts", caption=CAPTION)),
        code("unnamed", shown({"image/svg+xml": svg("no name"), "image/png": png(), "text/plain": "<F>"})),
        code("huge", shown({"image/svg+xml": svg("huge", width=4000), "text/plain": "<F>"}, filename="huge")),
        code("retina", shown({"image/png": png(1800, 600), "text/plain": "<F>"}, **{"image/png": {"width": 900}})),
        code("script", shown(script)),
        code("widget", shown(widget)),
        code("js", shown({"application/javascript": "alert(1)", "text/plain": "JS"})),
        code("fences", printed("~~~~~~~~\n```\n````\n#set text\n$ dollars * _ @ref <l>   \n")),
        code("progress", printed(" 0%\r 50%\rdone\n\x1b[32mgreen\x1b[0m\n", "stderr")),
        code("word", printed("x" * 400 + "\n" + "many words " * 60)),
        code("error", v4.new_output("error", ename="ValueError", evalue="bad", traceback=trace)),
        v4.new_raw_cell("a raw cell"),
        code("SECRET_PARAMETER = 1", tags=("parameters",)),
        code("injected", printed("INJECTED"), tags=("injected-parameters",)),
        code("removed", printed("REMOVED"), tags=("remove-cell",)),
    ]


@pytest.fixture
def stress(tmp_path: Path) -> Path:
    """The notebook on disk, with a picture beside it."""
    (tmp_path / "near.png").write_bytes(base64.b64decode(png(300, 100)))
    metadata = {"language_info": {"name": "python"}, "authors": [{"name": 'B. "Q" Author'}]}
    notebook = v4.new_notebook(cells=prose() + tables() + outputs(), metadata=metadata)
    path = tmp_path / "file-name.ipynb"
    nbformat.write(notebook, path)
    return path
