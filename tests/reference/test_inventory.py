"""Every unit test of the reference is carried over, or listed as moot with its reason."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.reference.moot import HISTORY, TESTS

HERE = Path(__file__).parent
INVENTORY = HERE.parent / "data" / "reference_tests.txt"


def inventory() -> set[str]:
    """The reference's tests, without its skipped placeholders."""
    names = [line for line in INVENTORY.read_text().splitlines() if line.startswith("Test")]
    assert len(names) == len(set(names)) == 117
    return set(names)


def carried(path: Path) -> set[str]:
    """The names in the `reference` markers of a test file."""
    return {
        str(ast.literal_eval(call.args[0]))
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.reference"
    }


def test_every_reference_test_is_carried_over_or_moot() -> None:
    """The tests here and the moot ones are exactly the reference's 117, and none is both."""
    here = set[str]().union(*(carried(path) for path in HERE.glob("test_*.py")))
    assert here | TESTS.keys() == inventory()
    assert here & TESTS.keys() == set()


def test_other_tests_name_reference_tests_that_exist() -> None:
    """A marker outside this directory names a test of the machine or of the history."""
    elsewhere = set[str]().union(*(carried(path) for path in (HERE.parent / "asyncmachine").glob("test_*.py")))
    assert elsewhere <= inventory() | set(HISTORY)
