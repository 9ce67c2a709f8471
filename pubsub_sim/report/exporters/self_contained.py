"""Removal of everything in an HTML page that a browser would load from elsewhere, and what replaces it."""

from __future__ import annotations

import re

from bs4 import BeautifulSoup, Tag

_LOADERS = ("src", "srcset", "poster", "data")
_CSS_IMPORT = re.compile(r"@import\b[^;]*;?", re.IGNORECASE)
_CSS_ADDRESS = re.compile(r"url\(\s*(?!['\"]?(?:data:|#))[^)]*\)", re.IGNORECASE)

# Rules for elements named by an id, as pandas' Styler writes them; rules for any `td` would restyle the whole report.
_ID_RULES = re.compile(r"(?:\s*#[^{}]*\{[^{}]*\})*\s*")


def without_addresses(html: str) -> str:
    """Take out of a page whatever a browser would fetch; links that a reader may follow stay.

    Args:
        html: a whole page.

    Returns:
        The page without scripts and style sheets of others; an image that is not in the page becomes a link to it.
    """
    soup = BeautifulSoup(html, features="html.parser")
    for tag in soup.find_all(["script", "link", "base"]):
        tag.decompose()
    for tag in soup.find_all("meta", attrs={"http-equiv": re.compile("^refresh$", re.IGNORECASE)}):
        tag.decompose()
    for tag in soup.find_all(_loads_something):
        tag.replace_with(_stand_in(soup, tag))
    for style in soup.select("body style"):
        if not _ID_RULES.fullmatch(style.get_text()):
            style.decompose()
    for style in soup.find_all("style"):
        style.string = _without_css_addresses(style.get_text())
    for tag in soup.find_all(style=True):
        tag["style"] = _without_css_addresses(str(tag["style"]))
    return "\n".join(line.rstrip() for line in str(soup).strip().splitlines()) + "\n"


def _loads_something(tag: Tag) -> bool:
    return any(tag.has_attr(name) and not str(tag[name]).strip().startswith("data:") for name in _LOADERS)


def _stand_in(soup: BeautifulSoup, tag: Tag) -> Tag:
    address = next(str(tag[name]).split()[0] for name in _LOADERS if str(tag.get(name) or "").strip())
    name = str(tag.get("alt") or tag.get("title") or address)
    if not re.match(r"(https?:)?//", address):
        missing = soup.new_tag("em")
        missing.string = f"[not found: {address}]"
        return missing
    link = soup.new_tag("a", href=address)
    link.string = name
    return link


def _without_css_addresses(css: str) -> str:
    return _CSS_ADDRESS.sub("none", _CSS_IMPORT.sub("", css))
