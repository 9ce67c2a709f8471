"""One HTML page that loads nothing from elsewhere: addresses out, figures in, pages in frames as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bs4 import BeautifulSoup, Tag

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOADERS = ("src", "srcset", "poster", "data")
_CSS_IMPORT = re.compile(r"@import\b[^;]*;?", re.IGNORECASE)
_CSS_ADDRESS = re.compile(r"url\(\s*(?!['\"]?(?:data:|#))[^)]*\)", re.IGNORECASE)

# Rules for elements named by an id, as pandas' Styler writes them; rules for any `td` would restyle the whole report.
_ID_RULES = re.compile(r"(?:\s*#[^{}]*\{[^{}]*\})*\s*")

_FIGURE = re.compile(r"src='data:image/svg\+xml,[^']*'")
_PAGE = re.compile(r"""(<iframe\b[^<>]*?\bsrcdoc=)("[^"]*"|'[^']*')""")
_PLACE = re.compile(r'(?<=srcdoc=)"page-in-a-frame-(\d+)"')


def inline_html(html: str, anchors: Sequence[tuple[str, str]] = (), *, keep_frames: bool = False) -> str:
    """Make a page independent of everything outside it; links that a reader may follow stay.

    Args:
        html: a whole page.
        anchors: text and id of its headings, in their order.
        keep_frames: whether pages in iframes stay byte for byte, scripts included.

    Returns:
        The page without scripts and style sheets of others; an image that is not in the page becomes a link to it.
    """
    html, frames = _set_frames_aside(html) if keep_frames else (html, [])
    soup = BeautifulSoup(html, features="html.parser")
    _remove_addresses(soup)
    _set_ids(soup, anchors)
    page = "\n".join(line.rstrip() for line in str(soup).strip().splitlines()) + "\n"
    return _put_frames_back(_unescape_figures(page), frames)


def _set_ids(soup: BeautifulSoup, anchors: Sequence[tuple[str, str]]) -> None:
    """Give headings their ids; a heading that is not the next one of the list, written as HTML, has none."""
    waiting = list(anchors)
    for heading in soup.select("h1, h2, h3, h4, h5, h6"):
        if waiting and _letters(heading.get_text()) == _letters(waiting[0][0]):
            heading["id"] = waiting.pop(0)[1]


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _remove_addresses(soup: BeautifulSoup) -> None:
    for tag in soup.find_all(["script", "link", "base"]):
        tag.decompose()
    for tag in soup.find_all("meta", attrs={"http-equiv": re.compile("^refresh$", re.IGNORECASE)}):
        tag.decompose()
    for tag in soup.find_all(_loads_something):
        tag.replace_with(_make_stand_in(soup, tag))
    for style in soup.select("body style"):
        if not _ID_RULES.fullmatch(style.get_text()):
            style.decompose()
    for style in soup.find_all("style"):
        style.string = _remove_css_addresses(style.get_text())
    for tag in soup.find_all(style=True):
        tag["style"] = _remove_css_addresses(str(tag["style"]))


def _loads_something(tag: Tag) -> bool:
    return any(tag.has_attr(name) and not str(tag[name]).strip().startswith("data:") for name in _LOADERS)


def _make_stand_in(soup: BeautifulSoup, tag: Tag) -> Tag:
    address = next(str(tag[name]).split()[0] for name in _LOADERS if str(tag.get(name) or "").strip())
    name = str(tag.get("alt") or tag.get("title") or address)
    if not re.match(r"(https?:)?//", address):
        missing = soup.new_tag("em")
        missing.string = f"[not found: {address}]"
        return missing
    link = soup.new_tag("a", href=address)
    link.string = name
    return link


def _remove_css_addresses(css: str) -> str:
    return _CSS_ADDRESS.sub("none", _CSS_IMPORT.sub("", css))


def quote_svg(text: str) -> str:
    """Write what follows `data:image/svg+xml` in an HTML attribute within single quotes: a quarter shorter than base64.

    Args:
        text: an SVG document.
    """
    for sign, quoted in (("%", "%25"), ("#", "%23"), ("'", "%27"), ("\n", " "), ("&", "&amp;")):
        text = text.replace(sign, quoted)
    return f",{text}"


def _unescape_figures(html: str) -> str:
    """Write figures with plain angle brackets, which need no quoting inside an attribute: shorter by a tenth."""
    return _FIGURE.sub(lambda found: found[0].replace("&lt;", "<").replace("&gt;", ">"), html)


def _set_frames_aside(html: str) -> tuple[str, list[str]]:
    """Take the pages out of the iframes: the page with a sign in place of each, and the pages, within their quotes."""
    pages: list[str] = []

    def replace(found: re.Match[str]) -> str:
        pages.append(found[2])
        return f'{found[1]}"page-in-a-frame-{len(pages) - 1}"'

    return _PAGE.sub(replace, html), pages


def _put_frames_back(html: str, pages: list[str]) -> str:
    return _PLACE.sub(lambda found: pages[int(found[1])], html) if pages else html
