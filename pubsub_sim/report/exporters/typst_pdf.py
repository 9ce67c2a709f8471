"""Exporter of a notebook to PDF without TeX or a browser: Markdown by nbconvert, then pandoc, then Typst."""

from __future__ import annotations

import copy
import io
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbconvert.exporters.templateexporter import TemplateExporter
from nbformat import NotebookNode
from traitlets import Bool, List, Unicode, default
from traitlets.config import Config

from pubsub_sim.packages import PACKAGES, MissingPackageError, explain_missing
from pubsub_sim.report.errors import TypesettingError
from pubsub_sim.report.exporters.content import (
    SVG,
    TEMPLATES,
    escape_caption,
    fence,
    find_title,
    register_named_figures,
    report_config,
)

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


def find_pandoc() -> str:
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


def find_typst() -> Compiler:
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
    return _compress(bytes(pdf))


def _compress(pdf: bytes) -> bytes:
    """Pack the many small objects that tell the structure of a tagged document: about half its size.

    The same bytes for the same argument: the document's identity is computed from its content.
    """
    with explain_missing("the PDF report"):
        import pikepdf
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as document:
        document.save(
            out,
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
            recompress_flate=True,
            deterministic_id=True,
        )
    return out.getvalue()


def _figure_fonts() -> list[Path]:
    """Let text in SVG figures be set in the face that matplotlib measured it in."""
    try:
        import matplotlib
    except ImportError:
        return []
    return [Path(matplotlib.get_data_path()) / "fonts" / "ttf"]


FIGURES = (SVG, "image/png", "image/jpeg")


class TypstPDFExporter(TemplateExporter):
    """Exports a report as a PDF with vector figures, numbered captions and running heads.

    The same outputs give the same bytes; the date of the document is SOURCE_DATE_EPOCH, else the epoch.
    """

    export_from_notebook = "Report as PDF (Typst)"
    output_mimetype = "application/pdf"

    exclude_input = Bool(True, help="Leave the code out (as --no-input does).").tag(config=True)
    paper = Unicode("a4", help="Paper size, a name that Typst knows: a4, us-letter.").tag(config=True)
    font_dirs = List(Unicode(), help="Folders with fonts, for scripts that the built-in ones lack.").tag(config=True)
    system_fonts = Bool(False, help="Also use this machine's fonts; the PDF then differs between machines.").tag(
        config=True
    )

    @default("file_extension")
    def _file_extension_default(self) -> str:
        return ".pdf"

    @default("template_extension")
    def _template_extension_default(self) -> str:
        return ".md.j2"

    @default("template_name")
    def _template_name_default(self) -> str:
        return "typst"

    @default("extra_template_basedirs")
    def _default_extra_template_basedirs(self) -> list[str]:
        return [str(TEMPLATES)]

    @property
    def default_config(self) -> Config:
        """Markdown and vector figures first; pasted pictures become files for Typst."""
        shown = ["text/markdown", *FIGURES, "text/html", "text/plain"]
        config = report_config(super().default_config, shown=shown)
        config.merge(Config({"ExtractAttachmentsPreprocessor": {"enabled": True}}))
        return config

    def _init_preprocessors(self) -> None:
        super()._init_preprocessors()  # type: ignore[no-untyped-call]
        register_named_figures(self, FIGURES)

    def default_filters(self) -> Any:
        """Add the filters that the template uses."""
        yield from super().default_filters()  # type: ignore[no-untyped-call]
        yield "fence", fence
        yield "escape_caption", escape_caption

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Export one notebook.

        Args:
            nb: an executed notebook; it stays as it is.
            resources: nbconvert's resources; local images are looked for in the folder they name.
            **kw: passed on.

        Returns:
            The bytes of the PDF, and resources without files: the figures are in the PDF.

        Raises:
            MissingPackageError: if pandoc or Typst is not installed.
            TypesettingError: if one of them refuses the document.
        """
        pandoc, compiler = find_pandoc(), find_typst()
        markdown, resources = super().from_notebook_node(copy.deepcopy(nb), resources, **kw)
        page = Page(
            title=find_title(nb),
            authors=tuple(str(author["name"]) for author in nb.metadata.get("authors", ()) if "name" in author),
            paper=self.paper,
            font_folders=tuple(Path(folder) for folder in self.font_dirs),
            system_fonts=self.system_fonts,
        )
        images = Path(resources.get("metadata", {}).get("path") or ".").resolve()
        with tempfile.TemporaryDirectory(prefix="report-") as name:
            folder = Path(name)
            for file, content in resources["outputs"].items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(content)
            source, warnings = to_typst(markdown, folder=folder, images=images, pandoc=pandoc)
            if warnings:
                self.log.warning("pandoc: %s", warnings)
            pdf = to_pdf(source, folder=folder, page=page, compiler=compiler)
        resources["output_extension"] = ".pdf"
        resources["outputs"] = {}
        return pdf, resources
