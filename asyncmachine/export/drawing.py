"""Conversion of DOT to SVG, by the program of the package graphviz-pure or by `dot` on the PATH."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from asyncmachine.export.errors import ExportError, MissingExtraError
from asyncmachine.export.looks import FONT

PACKAGE: Final = "graphviz-pure"
LIMIT_S: Final = 60.0
"""Timeout for drawing, in seconds."""

FAMILY: Final = f"{FONT},Verdana,sans-serif"
_PROLOG = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_TITLE = re.compile(r"(<g\b[^>]*class=\"(?:node|edge|cluster)[^>]*>)\n?<title>.*?</title>", re.DOTALL)
_ID = re.compile(r' id="[^"]*"| xml:space="preserve"| xmlns:xlink="[^"]*"')
_FONT = re.compile(r' font-family="[^"]*"')


class DrawingError(ExportError):
    """A program could not draw a diagram.

    Attributes:
        program: Its name.
        reason: Its error message, or a description of its failure.
    """

    def __init__(self, program: str, reason: str) -> None:
        self.program = program
        self.reason = reason
        super().__init__(f"{program} could not draw the diagram: {reason}")


class Svg(str):
    """An SVG document: a string that a notebook displays as a picture."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"a picture: {len(self):,} characters of SVG")


def drawing_program() -> Path:
    """Find the drawing program.

    Returns:
        The program of the installed package graphviz-pure, or else `dot` on the PATH.

    Raises:
        MissingExtraError: Neither is installed.
    """
    try:
        files = metadata.distribution(PACKAGE).files or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.stem == PACKAGE:  # bin/graphviz-pure, or Scripts/graphviz-pure.exe
            return Path(str(file.locate()))
    found = shutil.which("dot")
    if found is None:
        raise MissingExtraError("a picture", PACKAGE, "diagrams")
    return Path(found)


def svg(dot: str) -> Svg:
    """Draw DOT as SVG.

    Args:
        dot: The diagram.

    Returns:
        A document without paths, versions, dates and ids: the output of one program is reproducible.

    Raises:
        DrawingError: The program refused the diagram, cannot be started or took longer than `LIMIT_S`.
        MissingExtraError: No program is installed.
    """
    program = drawing_program()
    try:
        done = subprocess.run([program, "-Tsvg"], input=dot.encode(), capture_output=True, check=False, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise DrawingError(program.name, f"it took longer than {LIMIT_S:g} s") from None
    except OSError as error:
        raise DrawingError(program.name, error.strerror or str(error)) from error
    if done.returncode:
        raise DrawingError(program.name, done.stderr.decode(errors="replace").strip().partition("\n")[0])
    return Svg(_tidy(done.stdout.decode()))


def _tidy(text: str) -> str:
    text = _COMMENT.sub("", _PROLOG.sub("", text, count=1))
    text = _FONT.sub("", _ID.sub("", _TITLE.sub(r"\1", text)))
    return text.replace("<svg ", f'<svg role="img" font-family="{FAMILY}" ', 1)
