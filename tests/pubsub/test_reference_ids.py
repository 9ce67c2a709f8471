"""The list of the reference's tests is true: what it calls covered has a test, and what it leaves out has a reason."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.pubsub.reference_ids import SECTIONS

TESTS = Path(__file__).parents[1]
PLACES = ("pubsub", "protocol", "node", "wire")
ID = re.compile(r"([a-z]{1,2}\d{1,2})[a-f]?", re.IGNORECASE)


def ids_in_names(*places: str) -> dict[str, str]:
    """Reference ids at the beginning of test names: id -> one test that carries it."""
    found: dict[str, str] = {}
    for path in sorted(path for place in places for path in (TESTS / place).rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for word in node.name.removeprefix("test_").split("_"):
                    named = ID.fullmatch(word)
                    if named is None:
                        break
                    found.setdefault(named[1].upper(), node.name)
    return found


def test_every_id_is_covered_or_left_out_with_a_reason() -> None:
    """Sections name an id once; a reason is a sentence."""
    named = [name for section in SECTIONS for name in section]
    assert len(named) == len(set(named))
    left_out = {name: why for section in SECTIONS for name, why in section.items() if why is not None}
    assert all(len(why) > 10 for why in left_out.values())
    present = ids_in_names(*PLACES)
    missing = [name for name in named if name not in left_out and name not in present]
    assert missing == []
    assert [name for name in left_out if name in present] == []
    assert [name for name in present if name not in named] == []
