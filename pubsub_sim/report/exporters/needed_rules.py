"""Removal of the style rules that can never apply to a page, as no script will change the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STYLE = re.compile(r"(<style\b[^>]*>)(.*?)(</style>)", re.DOTALL)
_CLASSES_AND_IDS = re.compile(r"\b(?:class|id)=(?:\"([^\"]*)\"|'([^']*)')")
_ASIDE = re.compile(r"\"[^\"]*\"|'[^']*'|\[[^\]]*\]|\([^()]*\)")
_NAMED = re.compile(r"[.#](-?[A-Za-z_][\w-]*)")
_USED = re.compile(r"var\(\s*(--[\w-]+)")
_WHOLE = re.compile(r"\"[^\"]*\"|'[^']*'|\((?:[^()\"']|\"[^\"]*\"|'[^']*'|\([^()]*\))*\)")
_NESTED = ("@media", "@supports")


class Rule(NamedTuple):
    """A rule of a style sheet.

    Attributes:
        head: its selectors, or an at-rule's name and condition.
        body: what stands between the braces; "" for an at-rule that ends with a semicolon.
    """

    head: str
    body: str


def with_needed_rules(html: str) -> str:
    """Leave out of a page's style sheets the rules for classes and ids that nothing in it has.

    Args:
        html: a whole page that no script will change, its attributes in quotes.

    Returns:
        The page; it looks the same. Custom properties that no rule left uses are gone too.
    """
    outside = _STYLE.sub("", html)
    names = {name for found in _CLASSES_AND_IDS.finditer(outside) for name in (found[1] or found[2] or "").split()}
    kept = [_needed(list(rules(found[2])), names) for found in _STYLE.finditer(html)]
    used = _used_properties([rule for sheet in kept for rule in sheet], outside)
    sheets = iter(["\n".join(filter(None, (_written(rule, used) for rule in sheet))) for sheet in kept])
    return _STYLE.sub(lambda found: f"{found[1]}\n{next(sheets)}\n{found[3]}", html)


def rules(css: str) -> Iterator[Rule]:
    """Give the rules of a style sheet in their order.

    Args:
        css: a style sheet, or what stands between the braces of an at-rule.
    """
    text = _COMMENT.sub("", css)
    # What stands in quotes or brackets may hold the signs that end a rule, so it is blanked where those are looked for.
    plain = _WHOLE.sub(lambda found: " " * len(found[0]), text)
    start = 0
    while (at := _first(plain, "{;", start)) is not None:
        if plain[at] == ";":
            yield Rule(" ".join(text[start:at].split()), "")
            start = at + 1
            continue
        end = _closing(plain, at)
        yield Rule(" ".join(text[start:at].split()), text[at + 1 : end].strip())
        start = end + 1


def _first(text: str, signs: str, start: int) -> int | None:
    found = [at for sign in signs if (at := text.find(sign, start)) >= 0]
    return min(found, default=None)


def _closing(text: str, opening: int) -> int:
    """Find the brace that closes one; the end of the text if none does, as browsers take it."""
    depth = 0
    for found in re.compile(r"[{}]").finditer(text, opening):
        depth += 1 if found[0] == "{" else -1
        if depth == 0:
            return found.start()
    return len(text)


def _needed(found: list[Rule], names: set[str]) -> list[Rule]:
    kept = []
    for rule in found:
        if rule.head.startswith(_NESTED):
            inner = _needed(list(rules(rule.body)), names)
            body = "\n".join(_written(entry, None) for entry in inner)
            kept += [Rule(rule.head, body)] if inner else []
        elif rule.head.startswith("@"):
            kept.append(rule)
        elif selectors := [one for one in _split(rule.head, ",") if _can_match(one, names)]:
            kept.append(Rule(", ".join(selectors), rule.body))
    moving = " ".join(rule.body for rule in kept if not rule.head.startswith("@keyframes"))
    return [rule for rule in kept if not rule.head.startswith("@keyframes") or rule.head.split()[-1] in moving]


def _can_match(selector: str, names: set[str]) -> bool:
    """Say whether all classes and ids that a selector asks for are there; what stands in brackets may ask for less."""
    plain = selector
    while (shorter := _ASIDE.sub("", plain)) != plain:
        plain = shorter
    return names.issuperset(_NAMED.findall(plain))


def _used_properties(kept: list[Rule], outside: str) -> set[str]:
    """Find the custom properties that something uses, or that one of those uses in turn."""
    values: dict[str, list[str]] = {}
    waiting = set(_USED.findall(outside))
    for rule in kept:
        for declaration in _split(rule.body, ";"):
            name, _, value = declaration.partition(":")
            if name.strip().startswith("--"):
                values.setdefault(name.strip(), []).append(value)
            else:
                waiting.update(_USED.findall(declaration))
    used: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting.update(other for value in values.get(name, ()) for other in _USED.findall(value))
    return used


def _written(rule: Rule, used: set[str] | None) -> str:
    """Write a rule, without the custom properties that are not used if those are known; "" for one that says nothing."""
    if rule.head.startswith("@"):
        return f"{rule.head} {{\n{rule.body}\n}}" if rule.body else f"{rule.head};"
    declarations = [" ".join(one.split()) for one in _split(rule.body, ";")]
    if used is not None:
        names = [one.partition(":")[0].strip() for one in declarations]
        declarations = [
            one for one, name in zip(declarations, names, strict=True) if not name.startswith("--") or name in used
        ]
    return f"{rule.head} {{ {'; '.join(declarations)} }}" if declarations else ""


def _split(text: str, sign: str) -> list[str]:
    """Split at a sign that stands outside quotes and brackets; parts without a word are left out."""
    plain = _WHOLE.sub(lambda found: " " * len(found[0]), text)
    parts, start = [], 0
    for found in re.finditer(re.escape(sign), plain):
        parts.append(text[start : found.start()].strip())
        start = found.end()
    return [part for part in (*parts, text[start:].strip()) if part]
