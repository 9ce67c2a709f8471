"""Golden vectors: what the Go library did with random schemas; `tests/data/go_vectors.txt` explains their notation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data" / "go_vectors.txt"

_STATE = re.compile(r"(\w):\{([^}]*)\}")
_MUTATION = re.compile(r"(\w+) \[([^]]*)\]")
_STEP = re.compile(
    r"(?P<mutation>\w+ \[[^]]*\]) -> (?P<result>executed|canceled)"
    r" \((?P<active>[^)]*)\) \[(?P<inactive>[^]]*)\] order=(?P<order>\w+|-) q=(?P<queue_tick>\d+)"
    r"(?: nested=(?P<nested>[\d,]+))? \| (?P<calls>.+)"
)


@dataclass(frozen=True)
class Step:
    """One mutation and everything that was seen of it."""

    mutation: tuple[str, ...]
    result: str
    ticks: dict[str, int]
    order: tuple[str, ...]
    queue_tick: int
    nested: tuple[int, ...]
    calls: tuple[str, ...]


@dataclass(frozen=True)
class Vector:
    """One schema, what its handlers do, and the steps."""

    name: str
    schema: dict[str, dict[str, Any]]
    veto: frozenset[str]
    nested_in: str
    nested: tuple[tuple[str, ...], ...]
    steps: list[Step] = field(default_factory=list)


def read() -> list[Vector]:
    """Return all vectors, in the file's order; a line in another notation is a ValueError."""
    vectors: list[Vector] = []
    for line in DATA.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("V"):
            vectors.append(_vector(line))
        else:
            vectors[-1].steps.append(_step(line))
    return vectors


def _vector(line: str) -> Vector:
    name, _, rest = line.partition(" ")
    states, _, behaviour = rest.partition("  ")
    schema = {state: _fields(text) for state, text in _STATE.findall(states)}
    veto: list[str] = []
    nested_in, nested = "", []
    if behaviour.startswith("veto: "):
        veto = behaviour.removeprefix("veto: ").split()
    elif behaviour:
        place, _, mutations = behaviour.removeprefix("in ").partition(": ")
        nested_in, nested = place, [_mutation(text) for text in mutations.split(", ")]
    return Vector(name, schema, frozenset(veto), nested_in, tuple(nested))


def _fields(text: str) -> dict[str, Any]:
    flags = {flag: True for flag in ("auto", "multi") if re.search(rf"\b{flag}\b", text)}
    relations = {relation: targets.split(",") for relation, targets in re.findall(r"(\w+):\[([^]]*)\]", text)}
    return {**flags, **relations}


def _mutation(text: str) -> tuple[str, ...]:
    found = _MUTATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"not a mutation: {text!r}")
    return (found[1], *found[2].split())


def _step(line: str) -> Step:
    found = _STEP.fullmatch(line.strip())
    if found is None:
        raise ValueError(f"not a step: {line!r}")
    return Step(
        mutation=_mutation(found["mutation"]),
        result=found["result"],
        ticks={
            state: int(tick) for state, tick in re.findall(r"(\w):(\d+)", found["active"] + " " + found["inactive"])
        },
        order=tuple(found["order"].replace("-", "")),
        queue_tick=int(found["queue_tick"]),
        nested=tuple(int(tick) for tick in (found["nested"] or "").split(",") if tick),
        calls=() if found["calls"] == "-" else tuple(found["calls"].split()),
    )
