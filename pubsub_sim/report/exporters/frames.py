"""Pages inside a page: they stand whole in the `srcdoc` of an iframe, and are left as they are."""

from __future__ import annotations

import re

_PAGE = re.compile(r"""(<iframe\b[^<>]*?\bsrcdoc=)("[^"]*"|'[^']*')""")
_PLACE = re.compile(r'(?<=srcdoc=)"page-in-a-frame-(\d+)"')


def set_frames_aside(html: str) -> tuple[str, list[str]]:
    """Take the pages out of a page's iframes, so that what is done to the page is not done to them.

    Args:
        html: a whole page.

    Returns:
        The page with a sign in place of each, and the pages, within their quotes.
    """
    pages: list[str] = []

    def sign(found: re.Match[str]) -> str:
        pages.append(found[2])
        return f'{found[1]}"page-in-a-frame-{len(pages) - 1}"'

    return _PAGE.sub(sign, html), pages


def put_frames_back(html: str, pages: list[str]) -> str:
    """Put the pages back where `set_frames_aside` took them from.

    Args:
        html: the page with the signs.
        pages: the pages.
    """
    return _PLACE.sub(lambda found: pages[int(found[1])], html) if pages else html
