"""Diagrams of schemas and machines: SVG, DOT, Mermaid, plain text, and their notebook display."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from asyncmachine.export.dot import dot
from asyncmachine.export.drawing import svg
from asyncmachine.export.errors import ExportError
from asyncmachine.export.looks import WORDS
from asyncmachine.export.mermaid import mermaid
from asyncmachine.export.relation_graph import RelationGraph

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncmachine.machine import Machine
    from asyncmachine.schema import SchemaMeta

Format = Literal["svg", "dot", "mermaid", "text"]


def of_machine(machine: Machine) -> RelationGraph:
    """Return the diagram of a machine: its schema with the active states marked."""
    states = {name: state.to_dict() for name, state in machine.schema.states.items()}
    return RelationGraph.of(states, name=machine.id, active=machine.active_states())


def of_schema(schema: SchemaMeta) -> RelationGraph:
    """Return the diagram of a schema."""
    states = {name: state.to_dict() for name, state in schema.states.items()}
    return RelationGraph.of(states, name=schema.__name__)


def text(graph: RelationGraph) -> str:
    """Return a diagram as plain text: a line per state with its flags and relations, and a `*` if it is active."""
    others: dict[str, list[str]] = {}
    boxed = {(one, "remove", other) for group in graph.groups for one in group for other in group}
    relations = sorted(graph.relations() - boxed)
    order = {state.name: number for number, state in enumerate(graph.states)}
    for state in graph.states:
        flags = [flag for flag in ("auto", "multi") if getattr(state, f"is_{flag}")]
        parts = [", ".join(flags)] if flags else []
        for relation, word in WORDS.items():
            named = [other for one, kind, other in relations if (one, kind) == (state.name, relation)]
            if named:
                parts.append(f"{word} {_listing(sorted(named, key=order.__getitem__))}")
        others[state.name] = parts
    width = max(map(len, others), default=0)
    lines = [_heading(graph)]
    for state in graph.states:
        mark = "*" if state.is_active else " "
        lines.append(f"{mark} {state.name:<{width}}  {'; '.join(others[state.name])}".rstrip())
    lines += [f"at most one of {_listing(group)}" for group in graph.groups]
    return "\n".join([*lines, ""])


FORMATS: Final[dict[str, Callable[[RelationGraph], str]]] = {
    "svg": lambda graph: svg(dot(graph)),
    "dot": dot,
    "mermaid": mermaid,
    "text": text,
}
"""Writer by name of format."""


def draw(graph: RelationGraph, format: str = "svg") -> str:  # noqa: A002  # the usual name
    """Draw a diagram.

    Args:
        graph: The content.
        format: "svg", "dot", "mermaid" or "text".

    Returns:
        The document; SVG is a string that a notebook displays as a picture.

    Raises:
        DrawingError: The drawing program failed.
        MissingExtraError: For SVG: no drawing program is available.
        ValueError: Unknown format.
    """
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(map(repr, FORMATS))}, got {format!r}")
    return FORMATS[format](graph)


def mimebundle(graph: RelationGraph) -> dict[str, str]:
    """Return the notebook display: the picture and the text, or only a text that names the missing program.

    Mermaid is not included: JupyterLab would prefer it, and exports would lose it.
    """
    words = text(graph)
    try:
        return {"image/svg+xml": draw(graph), "text/plain": words}
    except ExportError as error:
        return {"text/plain": f"{words}(no picture: {error})\n"}


def _heading(graph: RelationGraph) -> str:
    amount = f"{len(graph.states)} state{'' if len(graph.states) == 1 else 's'}"
    active = [state.name for state in graph.states if state.is_active]
    told = f", active: {_listing(active) if active else 'none'}" if graph.is_machine else ""
    return f"{graph.name or 'states'}: {amount}{told}"


def _listing(words: list[str] | tuple[str, ...]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
