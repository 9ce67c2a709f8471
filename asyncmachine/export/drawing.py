"""DOT becomes SVG: by the program of the package graphviz-pure, or else by any `dot` on the PATH."""

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
"""Longest time that drawing may take."""

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
        reason: Its own words, or what happened to it.
    """

    def __init__(self, program: str, reason: str) -> None:
        self.program = program
        self.reason = reason
        super().__init__(f"{program} could not draw the diagram: {reason}")


class Svg(str):
    """An SVG document: a string that a notebook shows as the picture."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"a picture: {len(self):,} characters of SVG")


def drawing_program() -> Path:
    """Find the program that draws DOT.

    Returns:
        That of the installed package graphviz-pure, or else `dot` of the PATH.

    Raises:
        MissingExtraError: There is neither.
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
        A document without paths, versions, dates and ids: the same program draws the same bytes.

    Raises:
        DrawingError: The program refuses the diagram, cannot be started or takes longer than `LIMIT_S`.
        MissingExtraError: There is no program.
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
