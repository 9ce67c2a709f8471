"""Style sheets keep what the page can show, and lose the rest."""

from __future__ import annotations

import pytest

from pubsub_sim.report.exporters.needed_rules import Rule, rules, with_needed_rules


def page(css: str, body: str = '<p class="there" id="one">x</p>') -> str:
    return f"<html><head><style>{css}</style></head><body>{body}</body></html>"


@pytest.mark.parametrize(
    "css",
    [
        "p { color: red }",
        ".there { color: red }",
        "#one > p { color: red }",
        ":not(.elsewhere) { color: red }",
        ":is(.elsewhere, p) { color: red }",
        "p[data-x='.elsewhere'] { color: red }",
        "@media print { .there { color: red } }",
        "@font-face { font-family: x }",
    ],
)
def test_a_rule_that_can_apply_stays(css: str) -> None:
    """Classes and ids that the page has, elements, and whatever brackets allow."""
    assert "color: red" in with_needed_rules(page(css)) or "@font-face" in with_needed_rules(page(css))


@pytest.mark.parametrize(
    "css",
    [
        ".elsewhere { color: red }",
        ".there.elsewhere { color: red }",
        "#two p { color: red }",
        "@media print { .elsewhere { color: red } }",
        "/* .there { color: red } */",
    ],
)
def test_a_rule_that_nothing_can_match_is_gone(css: str) -> None:
    """One class or id that the page lacks is enough."""
    assert "color" not in with_needed_rules(page(css))


def test_of_several_selectors_those_that_can_match_stay() -> None:
    """A comma separates selectors, except inside brackets."""
    shown = with_needed_rules(page(".elsewhere, .there:is(a, b), #two { color: red }"))
    assert ".there:is(a, b) { color: red }" in shown
    assert ".elsewhere" not in shown


def test_custom_properties_stay_where_something_uses_them() -> None:
    """Directly, through another property, or from an element's own style; the others are gone."""
    css = ":root { --a: var(--b); --b: 1px; --c: 2px; --d: url('x;y{z}') } .there { margin: var(--a) }"
    shown = with_needed_rules(page(css, '<p class="there" style="top: var(--c)">x</p>'))
    assert ":root { --a: var(--b); --b: 1px; --c: 2px }" in shown


def test_animations_stay_where_they_are_used() -> None:
    """Keyframes go with the rules that name them."""
    frames = "@keyframes turn { from { top: 0 } to { top: 1px } }"
    assert "@keyframes turn" in with_needed_rules(page(frames + " .there { animation: turn 1s }"))
    assert "@keyframes" not in with_needed_rules(page(frames + " .elsewhere { animation: turn 1s }"))


def test_signs_inside_quotes_end_nothing() -> None:
    """Braces and semicolons in a text or an address belong to it."""
    found = list(rules("@import 'a;b'; .x::before { content: '}'; background: url(data:a;b,{c}) } .y { top: 0 }"))
    assert found == [
        Rule("@import 'a;b'", ""),
        Rule(".x::before", "content: '}'; background: url(data:a;b,{c})"),
        Rule(".y", "top: 0"),
    ]


def test_the_rest_of_the_page_is_left_alone() -> None:
    """Only style sheets are written anew."""
    body = '<p class="there">.elsewhere { a: b }</p>'
    assert with_needed_rules(page("", body)).endswith(f"</head><body>{body}</body></html>")
