"""Exporter of a notebook to one HTML file that shows everything without a network."""

from __future__ import annotations

import copy
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import MarkdownWithMath
from nbformat import NotebookNode
from traitlets import Bool, default
from traitlets.config import Config

from pubsub_sim.report.exporters.content import TEMPLATES, report_config
from pubsub_sim.report.exporters.figures import SVG, as_quoted_text, tidy_svg, with_plain_figures
from pubsub_sim.report.exporters.frames import put_frames_back, set_frames_aside
from pubsub_sim.report.exporters.headings import report_title
from pubsub_sim.report.exporters.maths import MarkedMaths, marked_latex, with_mathml
from pubsub_sim.report.exporters.needed_rules import with_needed_rules
from pubsub_sim.report.exporters.quoting import printed_in_colour
from pubsub_sim.report.exporters.self_contained import without_addresses


class OfflineHTMLExporter(HTMLExporter):
    """Exports a report as one HTML file: figures inside, no scripts unless asked for, nothing loaded from elsewhere.

    The same outputs give the same bytes: cells are numbered, and the title is the first heading.
    """

    export_from_notebook = "Report as offline HTML"

    exclude_input = Bool(True, help="Leave the code out (as --no-input does).").tag(config=True)
    exclude_input_prompt = Bool(True, help="Leave out In[ ].").tag(config=True)
    exclude_output_prompt = Bool(True, help="Leave out Out[ ].").tag(config=True)
    exclude_anchor_links = Bool(True, help="Leave out the signs behind headings.").tag(config=True)
    scripts = Bool(
        False, help="Let pages in iframes of outputs run their scripts; nothing is loaded from elsewhere all the same."
    ).tag(config=True)
    embed_images = Bool(True, help="Put local images of Markdown cells into the file.").tag(config=True)

    @default("template_name")
    def _template_name_default(self) -> str:
        return "offline"

    @default("template_extension")
    def _template_extension_default(self) -> str:
        return ".html.j2"

    @default("extra_template_basedirs")
    def _default_extra_template_basedirs(self) -> list[str]:
        return [str(TEMPLATES)]

    @property
    def default_config(self) -> Config:
        """Static representations only: widgets and scripts would need a network or a kernel."""
        shown = ["text/html", "text/markdown", SVG, "text/latex", "image/png", "image/jpeg", "text/plain"]
        return report_config(super().default_config, shown=shown)

    def default_filters(self) -> Any:
        """Add the filters that the template uses."""
        yield from super().default_filters()  # type: ignore[no-untyped-call]
        yield "tidy_svg", tidy_svg
        yield "as_quoted_text", as_quoted_text
        yield "printed", printed_in_colour
        yield "marked_latex", marked_latex

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        """Render Markdown as nbconvert does, with formulas marked for MathML.

        Args:
            context: the template's variables, for the attachments of the cell.
            source: Markdown.

        Returns:
            HTML.
        """
        renderer = MarkedMaths(
            escape=False,
            attachments=context.get("cell", {}).get("attachments", {}),
            embed_images=self.embed_images,
            path=context.get("resources", {}).get("metadata", {}).get("path", ""),
            exclude_anchor_links=self.exclude_anchor_links,
        )
        return MarkdownWithMath(renderer=renderer).render(source)

    def from_notebook_node(  # type: ignore[override]  # nbconvert says NotebookNode where it means text
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[str, dict[str, Any]]:
        """Export one notebook.

        Args:
            nb: an executed notebook; it stays as it is.
            resources: nbconvert's resources; local images are looked for in the folder they name.
            **kw: passed on.

        Returns:
            The HTML, and nbconvert's resources.
        """
        notebook = copy.deepcopy(nb)
        notebook.metadata["title"] = report_title(nb)
        notebook.metadata.pop("widgets", None)
        for number, cell in enumerate(notebook.cells, start=1):
            cell["id"] = f"cell-{number}"
        resources = {**(resources or {}), "scripts": self.scripts}
        html, resources = super().from_notebook_node(notebook, resources, **kw)
        html, frames = set_frames_aside(html) if self.scripts else (html, [])
        html, warning = with_mathml(html)
        if warning:
            self.log.warning(warning)
        html = with_plain_figures(with_needed_rules(without_addresses(html)))
        return put_frames_back(html, frames), resources
