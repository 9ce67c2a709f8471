"""Exporter of a notebook to PDF without TeX or a browser: Markdown by nbconvert, then pandoc, then Typst."""

from __future__ import annotations

import copy
import re
import tempfile
from pathlib import Path
from typing import Any

from nbconvert.exporters.templateexporter import TemplateExporter
from nbformat import NotebookNode
from traitlets import Bool, List, Unicode, default
from traitlets.config import Config

from pubsub_sim.report.exporters.attachments import name_attachments_apart
from pubsub_sim.report.exporters.content import TEMPLATES, report_config
from pubsub_sim.report.exporters.figures import SVG, caption_line, register_named_figures
from pubsub_sim.report.exporters.headings import report_title
from pubsub_sim.report.exporters.quoting import fenced
from pubsub_sim.report.exporters.typesetting import Page, pandoc_program, to_pdf, to_typst, typst_compiler

FIGURES = (SVG, "image/png", "image/jpeg")

_BARE_MATHS = re.compile(
    r"^(?<!\$)(\\begin\{(align|equation|gather|eqnarray)\*?\}.*?\\end\{\2\*?\})", re.MULTILINE | re.DOTALL
)


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
        """Markdown and vector figures first; attachments become files for Typst."""
        shown = ["text/markdown", *FIGURES, "text/html", "text/latex", "text/plain"]
        config = report_config(super().default_config, shown=shown)
        config.merge(Config({"ExtractAttachmentsPreprocessor": {"enabled": True}}))
        return config

    def _init_preprocessors(self) -> None:
        super()._init_preprocessors()  # type: ignore[no-untyped-call]
        register_named_figures(self, FIGURES)

    def default_filters(self) -> Any:
        """Add the filters that the template uses."""
        yield from super().default_filters()  # type: ignore[no-untyped-call]
        yield "fenced", fenced
        yield "caption_line", caption_line
        yield "display_maths", display_maths

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
        pandoc, compiler = pandoc_program(), typst_compiler()
        markdown, resources = super().from_notebook_node(name_attachments_apart(copy.deepcopy(nb)), resources, **kw)
        page = Page(
            title=report_title(nb),
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


def display_maths(markdown: str) -> str:
    """Mark LaTeX environments as maths: Jupyter takes a bare one for maths, CommonMark for text."""
    return _BARE_MATHS.sub(r"$$\1$$", markdown)
