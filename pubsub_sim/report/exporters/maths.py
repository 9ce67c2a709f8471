"""Formulas as MathML, for a page that runs no script. Browsers draw MathML by themselves."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from bs4 import BeautifulSoup
from nbconvert.filters.markdown_mistune import IPythonRenderer

from pubsub_sim.packages import MissingPackageError
from pubsub_sim.report.exporters.typesetting import pandoc_program

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLASS = "report-tex"
_DELIMITED = re.compile(r"^(\$\$|\$|\\\[|\\\()(.*?)(\$\$|\$|\\\]|\\\))$", re.DOTALL)


class MarkedMaths(IPythonRenderer):
    """Renders Markdown as nbconvert does, but marks formulas so that they can be found afterwards."""

    def block_math(self, body: str) -> str:
        """Mark a formula on lines of its own."""
        return self._marked(body, "block")

    def inline_math(self, body: str) -> str:
        """Mark a formula within a sentence."""
        return self._marked(body, "inline")

    def latex_environment(self, name: str, body: str) -> str:
        """Mark an environment such as align."""
        return self._marked(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")

    def _html_embed_images(self, html: str) -> str:
        # nbconvert parses each piece of HTML alone and closes its tags: <details> would end before its content.
        return str(super()._html_embed_images(html)) if "<img" in html.lower() else html

    def _marked(self, tex: str, display: str) -> str:
        return f'<code class="{_CLASS}" data-display="{display}">{self.escape_html(tex)}</code>'


def marked_latex(tex: str) -> str:
    """Mark a LaTeX output of a cell, with its dollars or without.

    Args:
        tex: what a `_repr_latex_` gave.

    Returns:
        HTML for `with_mathml`.
    """
    tex = tex.strip()
    parts = _DELIMITED.match(tex)
    return MarkedMaths(escape=False).block_math(parts[2] if parts else tex)


def with_mathml(html: str) -> tuple[str, str]:
    """Put MathML in place of marked formulas.

    Args:
        html: a page.

    Returns:
        The page, and a warning, "" for none: formulas stay TeX if pandoc is missing or cannot read them.
    """
    soup = BeautifulSoup(html, features="html.parser")
    marked = soup.find_all("code", class_=_CLASS)
    if not marked:
        return html, ""
    try:
        drawn, warning = _mathml([(mark.get_text(), mark["data-display"] == "block") for mark in marked])
    except MissingPackageError as missing:
        return html, f"formulas stay TeX: {missing}"
    for mark, formula in zip(marked, drawn, strict=True):
        tree = BeautifulSoup(formula, features="html.parser").find("math")
        if tree is not None:
            mark.replace_with(tree)
    return str(soup), warning


def _mathml(formulas: Sequence[tuple[str, bool]]) -> tuple[list[str], str]:
    paragraphs = (
        f"\\[{' '.join(tex.split())}\\]" if display else f"\\({' '.join(tex.split())}\\)" for tex, display in formulas
    )
    command = [pandoc_program(), "--from=markdown+tex_math_single_backslash-tex_math_dollars", "--to=html"]
    command += ["--mathml", "--wrap=none"]
    run = subprocess.run(command, input="\n\n".join(paragraphs).encode(), capture_output=True, check=False)
    found = [str(tag) for tag in BeautifulSoup(run.stdout.decode(), features="html.parser").find_all("p")]
    if run.returncode or len(found) != len(formulas):
        return [""] * len(formulas), "formulas stay TeX: pandoc could not read them"
    return found, run.stderr.decode(errors="replace").strip()
