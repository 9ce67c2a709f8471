"""Printed text as Markdown code blocks, so that nothing in it is taken for Markdown."""

from __future__ import annotations

import re

from nbconvert.filters import strip_ansi

_LONGEST_FENCE = re.compile(r"`{3,}")


def printed(text: str) -> str:
    """Give the text as a terminal leaves it: no colours, no overwritten progress, no blanks at line ends.

    Args:
        text: what a cell printed.

    Returns:
        Lines of plain text without blank lines around them.
    """
    plain: str = strip_ansi(text)  # type: ignore[no-untyped-call]
    lines = (line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in plain.split("\n"))
    return "\n".join(lines).strip("\n")


def fenced(text: str, info: str = "text") -> str:
    """Put text into a code block whose fence is longer than any fence in it.

    Args:
        text: what a cell printed.
        info: what stands behind the opening fence, a language or pandoc attributes.

    Returns:
        A Markdown code block, or nothing if the text is blank.
    """
    body = printed(text)
    if not body.strip():
        return ""
    fence = "`" * max(3, 1 + max((len(run) for run in _LONGEST_FENCE.findall(body)), default=0))
    return f"{fence}{info}\n{body}\n{fence}"


def printed_in_colour(text: str) -> str:
    """Give the text as a terminal leaves it, but with its colours.

    Args:
        text: what a cell printed.

    Returns:
        Lines of text with ANSI colours, without overwritten progress.
    """
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))
