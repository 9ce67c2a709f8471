"""A schema or machine in Mermaid, a readable format that GitHub, JupyterLab and many wikis render."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncmachine.export.looks import ACTIVE, BOX, COLOURS, LINE, LOOSE, MUTUAL, TEXT, WORDS, columns_of, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncmachine.export.relation_graph import Arrow, RelationGraph

_LINKS = {"require": "-->", "add": "-->", "remove": "--x", "after": "-.->"}
_SIGNS = (("#", "#35;"), ("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("`", "#96;"), ("\\", "#92;"))


def mermaid(graph: RelationGraph) -> str:
    """Write a diagram as a Mermaid flowchart."""
    ids = {state.name: f"s{number}" for number, state in enumerate(graph.states)}
    inside = {one for group in graph.groups for one in group} | set(graph.loose)
    lines = ["flowchart LR"]
    lines += [f"  {ids[state.name]}[{quoted(state.name)}]" for state in graph.states if state.name not in inside]
    for number, group in enumerate(graph.groups):
        lines += _box(f"g{number}", BOX, [f"{ids[one]}[{quoted(one)}]" for one in group])
    if graph.loose:
        lines += _box("loose", LOOSE, [f"{ids[one]}[{quoted(one)}]" for one in graph.loose])
    ends: dict[tuple[str, ...], str] = {(state.name,): ids[state.name] for state in graph.states}
    ends |= {group: f"g{number}" for number, group in enumerate(graph.groups)}
    lines += [f"  {ends[arrow.sources]} {_link(arrow)} {ends[arrow.targets]}" for arrow in graph.arrows]
    if graph.loose:
        lines += _rows([ids[one] for one in graph.loose], columns_of(graph.loose))
    lines += _styles(graph, ids)
    return "\n".join([*lines, ""])


def quoted(name: str) -> str:
    """Quote any text for display by Mermaid."""
    return '"' + escaped(name) + '"'


def escaped(name: str) -> str:
    """Replace special characters with Mermaid's entities."""
    text = printable(name).replace(";", "\0")
    for sign, entity in _SIGNS:
        text = text.replace(sign, entity)
    return text.replace("\0", "#59;")


def _box(name: str, title: str, states: list[str]) -> list[str]:
    return [f"  subgraph {name}[{quoted(title)}]", *(f"    {state}" for state in states), "  end"]


def _link(arrow: Arrow) -> str:
    if arrow.is_mutual:
        return f"x--x|{MUTUAL}|"
    return f"{_LINKS[arrow.relation]}|{WORDS[arrow.relation]}|"


def _rows(ids: list[str], columns: int) -> Iterator[str]:
    """Yield invisible links that place states without relations side by side."""
    for start in range(0, len(ids), columns):
        if len(row := ids[start : start + columns]) > 1:
            yield f"  {' ~~~ '.join(row)}"


def _styles(graph: RelationGraph, ids: dict[str, str]) -> Iterator[str]:
    yield f"  classDef default fill:#ffffff,stroke:{LINE},color:{TEXT}"
    for name, look in (
        ("active", f"fill:{ACTIVE}"),
        ("auto", "stroke-dasharray:5 3"),
        ("multi", "stroke-width:3px"),
    ):
        if chosen := [ids[state.name] for state in graph.states if getattr(state, f"is_{name}")]:
            yield f"  classDef {name} {look}"
            yield f"  class {','.join(chosen)} {name}"
    for number in range(len(graph.groups)):
        yield f"  style g{number} fill:none,stroke:{COLOURS['remove']},stroke-dasharray:5 3,color:{COLOURS['remove']}"
    if graph.loose:
        yield "  style loose fill:none,stroke:none"
    for relation, colour in COLOURS.items():
        numbers = [str(number) for number, arrow in enumerate(graph.arrows) if arrow.relation == relation]
        if numbers:
            yield f"  linkStyle {','.join(numbers)} stroke:{colour},color:{colour}"
