"""A schema or machine in DOT, Graphviz's language.

Relations run from left to right: required states are placed to the left of those that require them. Therefore an edge of `require` or
`after` is written from the required state, with `dir=back`. The `class` of an edge is its relation. An edge of a whole box is clipped at
the box (`ltail`, `lhead`). States without relations are a table in the graph's label, below the graph.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from asyncmachine.export.looks import (
    ACTIVE,
    BOX,
    COLOURS,
    EM_POINTS,
    FONT,
    LINE,
    LOOSE,
    MUTUAL,
    TEXT,
    WORDS,
    columns_of,
    key,
    printable,
    width_points,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from asyncmachine.export.relation_graph import Arrow, DrawnState, RelationGraph

_HEADS = {"require": "vee", "add": "normal", "remove": "tee", "after": "vee"}
_BACKWARDS = ("require", "after")


def dot(graph: RelationGraph) -> str:
    """Write a diagram as DOT."""
    names = _ids(state.name for state in graph.states)
    letters = f'fontname="{FONT}", fontsize={EM_POINTS}, fontcolor="{TEXT}"'
    outline = f'shape=box, style="rounded,filled", height=0.3, margin="0.12,0.05", color="{LINE}", fillcolor=white'
    lines = [
        f"digraph {_quoted(graph.name or 'states')} {{",
        f"  graph [rankdir=LR, compound=true, nodesep=0.16, ranksep=0.55, pad=0.1, labelloc=b, {letters}]",
        f"  node [{outline}, {letters}]",
        f'  edge [fontname="{FONT}", fontsize=8, arrowsize=0.7]',
    ]
    if below := _below(graph):
        lines.append(f"  label=<{below}>")
    inside = {one for group in graph.groups for one in group} | set(graph.loose)
    # in reverse order: with rankdir=LR, Graphviz places nodes from the bottom up
    lines += _groups(graph, names)
    lines += [f"  {_node(state, names)}" for state in reversed(graph.states) if state.name not in inside]
    clusters = {group: f"cluster_{number}" for number, group in enumerate(graph.groups)}
    lines += [f"  {_edge(arrow, names, clusters)}" for arrow in graph.arrows]
    return "\n".join([*lines, "}", ""])


def _groups(graph: RelationGraph, names: Mapping[str, str]) -> Iterator[str]:
    colour = COLOURS["remove"]
    for number, group in reversed(list(enumerate(graph.groups))):
        yield f"  subgraph cluster_{number} {{"
        yield f'    label="{BOX}"; labelloc=t; fontsize=8; style="rounded,dashed"; color="{colour}"; fontcolor="{colour}"; margin=9'
        yield from (f"    {_node(graph.state(one), names)}" for one in reversed(group))
        yield "  }"


def _node(state: DrawnState, names: Mapping[str, str]) -> str:
    attributes = [f"label={_label(state.name)}"]
    if state.is_active:
        attributes.append(f'fillcolor="{ACTIVE}"')
    if state.is_auto:
        attributes.append('style="rounded,filled,dashed"')
    if state.is_multi:
        attributes.append("penwidth=2.2")
    if not state.name.isascii():
        attributes.append(f"width={width_points(state.name) / 72 + 0.25:.2f}")
    return f"{names[state.name]} [{', '.join(attributes)}]"


def _below(graph: RelationGraph) -> str:
    """Return the label below the graph: the table of states without relations, and the key."""
    rows = []
    columns = columns_of(graph.loose) if graph.loose else 1
    if 0 < len(graph.loose) < len(graph.states):
        rows.append(_line(LOOSE, columns))
    for start in range(0, len(graph.loose), columns):
        cells = "".join(_cell(graph.state(one)) for one in graph.loose[start : start + columns])
        rows.append(f"<TR>{cells}</TR>")
    rows += [_line(words, columns) for words in key(graph)]
    return (
        f'<TABLE BORDER="0" CELLBORDER="1" CELLSPACING="5" CELLPADDING="4" COLOR="{LINE}">{"".join(rows)}</TABLE>'
        if rows
        else ""
    )


def _line(words: str, columns: int) -> str:
    return f'<TR><TD COLSPAN="{columns}" BORDER="0" CELLPADDING="1"><FONT POINT-SIZE="8">{words}</FONT></TD></TR>'


def _cell(state: DrawnState) -> str:
    attributes = ""
    if state.is_active:
        attributes += f' BGCOLOR="{ACTIVE}"'
    if state.is_auto:
        attributes += ' STYLE="dashed"'
    if state.is_multi:
        attributes += ' BORDER="2"'
    if not state.name.isascii():
        attributes += f' WIDTH="{width_points(state.name) + 10:.0f}"'
    return f"<TD{attributes}>{html.escape(printable(state.name))}</TD>"


def _edge(arrow: Arrow, names: Mapping[str, str], clusters: Mapping[tuple[str, ...], str]) -> str:
    ends = [arrow.sources, arrow.targets]
    head = _HEADS[arrow.relation]
    heads = f"arrowhead={head}"
    if arrow.is_mutual:
        heads = f"dir=both, arrowhead={head}, arrowtail={head}"
    elif arrow.relation in _BACKWARDS:
        ends.reverse()
        heads = f"dir=back, arrowtail={head}"
    colour = COLOURS[arrow.relation]
    word = MUTUAL if arrow.is_mutual else WORDS[arrow.relation]
    attributes = [f"class={arrow.relation}", heads, f'label="{word}"', f'color="{colour}"', f'fontcolor="{colour}"']
    if arrow.relation == "after":
        attributes.append("style=dotted")
    for end, place in zip(ends, ("ltail", "lhead"), strict=True):
        if end in clusters:
            attributes.append(f"{place}={clusters[end]}")
    tail, tip = (names[end[len(end) // 2]] for end in ends)
    return f"{tail} -> {tip} [{', '.join(attributes)}]"


def _ids(names: Iterable[str]) -> dict[str, str]:
    """Return a unique identifier for each state, based on its name."""
    found: dict[str, str] = {}
    for name in names:
        written = printable(name)
        while _quoted(written) in found.values():
            written += "'"
        found[name] = _quoted(written)
    return found


def _quoted(text: str) -> str:
    return '"' + printable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _label(name: str) -> str:
    return _quoted(name.replace("&", "&amp;"))  # labels may contain entities
