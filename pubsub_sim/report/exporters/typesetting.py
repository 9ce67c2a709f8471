"""Conversion of a Markdown document into the bytes of a PDF by pandoc and Typst."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pubsub_sim.packages import PACKAGES, MissingPackageError, explain_missing
from pubsub_sim.report.exporters.content import TEMPLATES
from pubsub_sim.report.exporters.errors import TypesettingError
from pubsub_sim.report.exporters.packed_pdf import packed

Compiler = Callable[..., Any]
"""`typst.compile`."""

# Jupyter shows CommonMark with tables and maths. Pandoc's own Markdown would take @name for a citation, wants a blank
# line before lists and splits HTML tables.
_READER = "commonmark_x+autolink_bare_uris" + "".join(
    f"-{extension}"
    for extension in ("yaml_metadata_block", "fancy_lists", "subscript", "superscript", "definition_lists", "smart")
)


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the pages look like beside their content.

    Attributes:
        title: plain text; names the document and heads its pages.
        authors: names, also for the document's properties.
        paper: name of a paper size that Typst knows.
        font_folders: folders with fonts, searched before the built-in ones.
        system_fonts: whether this machine's fonts are used too.
    """

    title: str
    authors: tuple[str, ...] = ()
    paper: str = "a4"
    font_folders: tuple[Path, ...] = ()
    system_fonts: bool = False


def pandoc_program() -> str:
    """Find pandoc.

    Returns:
        Path of the program.

    Raises:
        MissingPackageError: if there is none.
    """
    with explain_missing("the PDF report"):
        import pypandoc  # type: ignore[import-untyped]
    try:
        return str(pypandoc.get_pandoc_path())
    except OSError:
        raise MissingPackageError("the PDF report", *PACKAGES["pypandoc"]) from None


def typst_compiler() -> Compiler:
    """Find Typst.

    Returns:
        Its function that compiles.

    Raises:
        MissingPackageError: if it is not installed.
    """
    with explain_missing("the PDF report"):
        import typst
    return typst.compile


def to_typst(markdown: str, *, folder: Path, images: Path, pandoc: str) -> tuple[str, str]:
    """Translate Markdown into a Typst document.

    Args:
        markdown: the report, figures referred to by their names in `folder`.
        folder: where extracted figures are and where pandoc puts all others.
        images: where local images of the notebook are.
        pandoc: path of the program.

    Returns:
        The document, and what pandoc warned of.

    Raises:
        TypesettingError: if pandoc fails.
    """
    ours = TEMPLATES / "typst"
    command = [pandoc, "--from", _READER, "--to", "typst", "--wrap=none", "--standalone"]
    command += [f"--template={ours / 'page.typ'}", f"--lua-filter={ours / 'filter.lua'}"]
    command += [f"--resource-path={folder}{os.pathsep}{images}", "--extract-media=media"]
    run = subprocess.run(command, input=markdown.encode(), cwd=folder, capture_output=True, check=False)
    said = run.stderr.decode(errors="replace").strip()
    if run.returncode:
        raise TypesettingError("pandoc", said)
    return run.stdout.decode(), said


def to_pdf(source: str, *, folder: Path, page: Page, compiler: Compiler) -> bytes:
    """Compile a Typst document.

    Args:
        source: the document.
        folder: the only folder that Typst may read.
        page: what the pages look like.
        compiler: `typst.compile`.

    Returns:
        The bytes of the PDF; the same for the same arguments and SOURCE_DATE_EPOCH.

    Raises:
        TypesettingError: if Typst refuses the document.
    """
    document = folder / "report.typ"
    document.write_text(source, encoding="utf-8")
    try:
        pdf = compiler(
            document,
            root=folder,
            font_paths=[*page.font_folders, *_figure_fonts()],
            ignore_system_fonts=not page.system_fonts,
            sys_inputs={"title": page.title, "authors": json.dumps(page.authors), "paper": page.paper},
            timestamp=int(os.environ.get("SOURCE_DATE_EPOCH") or 0),
        )
    except RuntimeError as error:
        raise TypesettingError("Typst", str(error)) from error
    return packed(bytes(pdf))


def _figure_fonts() -> list[Path]:
    """Let text in SVG figures be set in the face that matplotlib measured it in."""
    try:
        import matplotlib
    except ImportError:
        return []
    return [Path(matplotlib.get_data_path()) / "fonts" / "ttf"]
