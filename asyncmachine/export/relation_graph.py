"""The drawn form of a schema: states, boxes of mutually exclusive states, and arrows for all other relations.

To keep pictures readable, states that all remove each other form one box instead of an arrow in each direction of each pair; a relation
shared by all states of a box is one arrow of the box; states without relations are listed in a table. Nothing is lost: the relations can
be recovered from the picture (`RelationGraph.relations`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

RELATIONS: Final = ("require", "add", "remove", "after")
_WITHOUT_SELF: Final = ("remove", "after")  # a schema drops these relations of a state to itself
_EXCEPTION: Final = "Exception"

Relation = tuple[str, str, str]
"""The declaring state, "require", "add", "remove" or "after", and the target state."""


class DrawnState(NamedTuple):
    """A state of a picture."""

    name: str
    is_auto: bool
    is_multi: bool
    is_active: bool


class Arrow(NamedTuple):
    """A relation, or several that are drawn as one."""

    relation: str
    sources: tuple[str, ...]
    """A state, or all states of a box: each has the relation."""
    targets: tuple[str, ...]
    """A state, or all states of a box: each is a target of the relation."""
    is_mutual: bool = False
    """Whether the target has the same relation to the source."""

    def relations(self) -> set[Relation]:
        """Return the relations it represents."""
        found = {(source, self.relation, target) for source in self.sources for target in self.targets}
        return found | ({(target, relation, source) for source, relation, target in found} if self.is_mutual else set())


@dataclass(frozen=True)
class RelationGraph:
    """The content of the picture of a schema or machine.

    Attributes:
        name: Of the schema or machine.
        states: All drawn states, in order.
        groups: Disjoint boxes of states of which at most one can be active.
        arrows: All other relations.
        loose: States without relations.
        is_machine: Whether the active states are known.
    """

    name: str
    states: tuple[DrawnState, ...]
    groups: tuple[tuple[str, ...], ...]
    arrows: tuple[Arrow, ...]
    loose: tuple[str, ...]
    is_machine: bool = False

    @classmethod
    def of(
        cls, states: Mapping[str, Mapping[str, Any]], *, name: str = "", active: Collection[str] | None = None
    ) -> RelationGraph:
        """Create it from plain data.

        Args:
            states: State -> flags and relations, as in `Schema.to_dict` and in records. States named only in relations are drawn
                too. `Exception`, which every machine has, is drawn only if it is active or in a relation.
            name: Of the schema or machine.
            active: Active states of a machine; None for a schema.
        """
        relations = _relations(states)
        related = {end for source, _, target in relations for end in (source, target)}
        names = list(dict.fromkeys([*states, *(target for _, _, target in relations)]))
        known = set(active or ())
        names = [one for one in names if one != _EXCEPTION or one in related or one in known]
        groups = _groups(names, relations)
        return cls(
            name,
            tuple(_drawn(one, states.get(one, {}), one in known) for one in names),
            groups,
            _arrows(relations, groups),
            tuple(one for one in names if one not in related),
            active is not None,
        )

    def relations(self) -> set[Relation]:
        """Return all relations in the picture."""
        found = {(one, "remove", other) for group in self.groups for one in group for other in group if one != other}
        for arrow in self.arrows:
            found |= arrow.relations()
        return found

    def state(self, name: str) -> DrawnState:
        """Return a drawn state by its name.

        Raises:
            KeyError: No such state is drawn.
        """
        for state in self.states:
            if state.name == name:
                return state
        raise KeyError(name)


def _drawn(name: str, data: Mapping[str, Any], is_active: bool) -> DrawnState:
    return DrawnState(name, bool(data.get("auto")), bool(data.get("multi")), is_active)


def _relations(states: Mapping[str, Mapping[str, Any]]) -> list[Relation]:
    found = [
        (source, relation, str(target))
        for source, data in states.items()
        for relation in RELATIONS
        for target in data.get(relation) or ()
        if source != target or relation not in _WITHOUT_SELF
    ]
    return list(dict.fromkeys(found))


def _groups(names: Iterable[str], relations: Collection[Relation]) -> tuple[tuple[str, ...], ...]:
    """Return disjoint sets of states that all remove each other, larger ones first, each in state order."""
    removing = {(source, target) for source, relation, target in relations if relation == "remove"}
    partners = {one: [other for other in names if {(one, other), (other, one)} <= removing] for one in names}
    found: list[tuple[str, ...]] = []
    free = {one: others for one, others in partners.items() if others}
    while free:
        largest: tuple[str, ...] = ()
        for first in free:
            clique = [first]
            for other in partners[first]:
                if other in free and all(other in partners[one] for one in clique):
                    clique.append(other)
            if len(clique) > len(largest):
                largest = tuple(one for one in names if one in clique)
        if len(largest) < 2:
            break
        found.append(largest)
        free = {one: others for one, others in free.items() if one not in largest}
    return tuple(found)


def _arrows(relations: Iterable[Relation], groups: Iterable[tuple[str, ...]]) -> tuple[Arrow, ...]:
    """Return the arrows of the remaining relations: those shared by a box first; a mutual pair is one arrow."""
    inside = {one: group for group in groups for one in group}
    left = {
        (source, relation, target): None
        for source, relation, target in relations
        if relation != "remove" or source not in inside or target not in inside[source]
    }
    found: list[Arrow] = []

    def take(arrow: Arrow) -> None:
        wanted = arrow.relations()
        if wanted <= left.keys():
            found.append(arrow)
            for one in wanted:
                del left[one]

    for source, relation, target in list(left):
        if source in inside and target not in inside[source]:
            take(Arrow(relation, inside[source], (target,)))
    for source, relation, target in list(left):
        if target in inside and source not in inside[target]:
            take(Arrow(relation, (source,), inside[target]))
    for source, relation, target in list(left):
        if relation == "remove":
            take(Arrow(relation, (source,), (target,), is_mutual=True))
        take(Arrow(relation, (source,), (target,)))
    return tuple(found)
