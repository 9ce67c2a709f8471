"""Shorter SVG, so that a page that holds many drawings stays small. A drawing looks the same afterwards."""

from __future__ import annotations

import re
from collections import Counter

_COORDINATES = re.compile(r' d="[^"]*"| [xy]="[^"]*"|translate\([^)]*\)')
_LONG_NUMBER = re.compile(r"(\d\.\d\d)\d+")
_ZEROS = re.compile(r"(\.\d*?)0+(?!\d)")
_BESIDE_COMMAND = re.compile(r"(?<=[A-Za-z\"])\s+|\s+(?=[A-Za-z\"])")
_INDENTATION = re.compile(r"\n +")
_COMMENT = re.compile(r"<!--.*?-->\n?")
_LINK = re.compile(r"\bxlink:href=| xmlns:xlink=\"[^\"]*\"")
_PLACED = re.compile(r'(<use\b[^>]*) transform="translate\((-?[\d.]+) 0\)"')
_STYLE = re.compile(r' style="[^"]*"')
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(?<=href="#)[^"]*|(?<=url\(#)[^)]*')
_NAMED = re.compile(r'(?<= id=")[^"]*|' + _REFERENCE.pattern)
_DEFINED = re.compile(r'<path id="([^"]*)"[^>]*( style="[^"]*")/>')
_SHOWN = re.compile(r'(<use href="#([^"]*)"[^>]*?)( style="[^"]*")/>')
_SHEET_END = "</style>"
_OFTEN = 3
_GROUP = re.compile(r"<g\b[^>]*>\n?|</g>\n?")


def minify_svg(svg: str) -> str:
    """Write an SVG document of matplotlib's shorter.

    Coordinates are cut to hundredths of a point; indentation, comments, ids that nothing refers to and groups without
    attributes are left out, and so is the style of a mark where it is that of its definition; the other ids are numbered
    in the order in which they appear. Styles that many elements share stand once, in the document's style sheet.

    Args:
        svg: the document; pictures in it stay as they are.
    """
    text = _COORDINATES.sub(lambda found: _cut(found[0]), _COMMENT.sub("", svg))
    text = _INDENTATION.sub("\n", text)
    text = _STYLE.sub(lambda found: found[0].replace("; ", ";").replace(": ", ":"), text)
    text = _LINK.sub(lambda found: found[0].removeprefix("xlink:") if "href" in found[0] else "", text)
    text = _PLACED.sub(r'\1 x="\2"', text)
    used = set(_REFERENCE.findall(text))
    text = _ID.sub(lambda found: found[0] if found[1] in used else "", text)
    names: dict[str, str] = {}
    text = _NAMED.sub(lambda found: names.setdefault(found[0], f"i{len(names)}"), text)
    looks = dict(_DEFINED.findall(text))
    text = _SHOWN.sub(lambda found: f"{found[1]}/>" if looks.get(found[2]) == found[3] else found[0], text)
    return _with_classes(_without_bare_groups(text))


def _cut(attribute: str) -> str:
    cut = _LONG_NUMBER.sub(r"\1", attribute)
    cut = _ZEROS.sub(lambda found: found[1].rstrip("."), cut)
    return " d=" + _BESIDE_COMMAND.sub("", cut[3:]) if cut.startswith(" d=") else cut


def _without_bare_groups(text: str) -> str:
    """Leave out groups without attributes, which draw nothing of their own."""
    bare: list[bool] = []

    def kept(found: re.Match[str]) -> str:
        if found[0].rstrip().endswith("/>"):
            return ""
        if found[0].startswith("</"):
            return "" if bare.pop() else found[0]
        bare.append(found[0].strip() == "<g>")
        return "" if bare[-1] else found[0]

    return _GROUP.sub(kept, text)


def _with_classes(text: str) -> str:
    """Name the styles that many elements share, if the document has a style sheet to put them in."""
    if _SHEET_END not in text:
        return text
    often = [style for style, amount in Counter(_STYLE.findall(text)).items() if amount >= _OFTEN]
    names = {style: f"s{number}" for number, style in enumerate(often)}
    text = _STYLE.sub(lambda found: f' class="{names[found[0]]}"' if found[0] in names else found[0], text)
    sheet = "".join(f".{name}{{{style[8:-1]}}}" for style, name in names.items())
    return text.replace(_SHEET_END, sheet + _SHEET_END, 1)
