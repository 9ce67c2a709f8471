"""How many lines stand in both driver folders: what is equal belongs to the room they share, `node`.

By hand: `python tests/project/test_driver_folders.py [checkout]` prints the counts and the lines.
"""

from __future__ import annotations

import ast
import difflib
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAIRS = (
    ("pubsub_loop", "pubsub_machine"),
    ("pubsub_handlers", "pubsub_handlers"),
    ("discovery_loop", "discovery_machine"),
    ("bootstrap_loop", "bootstrap_machine"),
    ("tracing", "tracing"),
    ("__init__", "__init__"),
)


def lines_of(path: Path, *, code_only: bool) -> list[str]:
    """Lines that are not blank; the code alone is without docstrings, comments and imports."""
    if not path.exists():
        return []
    source = path.read_text()
    skipped: set[int] = set()
    if code_only:
        for node in ast.walk(ast.parse(source)):
            is_import = isinstance(node, ast.Import | ast.ImportFrom)
            is_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if is_import or is_typing or is_text:
                skipped.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    rows = [
        line.split("  #")[0].rstrip() for number, line in enumerate(source.splitlines(), 1) if number not in skipped
    ]
    return [row for row in rows if row.strip() and not (code_only and row.lstrip().startswith("#"))]


def in_both(folder: Path, *, code_only: bool) -> Counter[str]:
    """Lines of `baseline` that `states` has as well, wherever they stand."""
    baseline, states = (
        Counter(line for path in sorted((folder / name).glob("*.py")) for line in lines_of(path, code_only=code_only))
        for name in ("baseline", "states")
    )
    return baseline & states


def in_order(folder: Path) -> int:
    """Lines that files with the same task share in the same order, imports and docstrings included."""
    total = 0
    for name, other in PAIRS:
        files = folder / "baseline" / f"{name}.py", folder / "states" / f"{other}.py"
        first, second = (lines_of(path, code_only=False) for path in files)
        matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
        total += sum(block.size for block in matcher.get_matching_blocks())
    return total


def test_the_driver_folders_share_at_most_40_lines_of_code() -> None:
    """They hold only what differs: 40 lines are headers of methods that both must have, and little else."""
    shared = in_both(ROOT / "pubsub_sim" / "drivers", code_only=True)
    assert shared.total() <= 40, "\n".join(shared.elements())


if __name__ == "__main__":
    drivers = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT) / "pubsub_sim" / "drivers"
    code = in_both(drivers, code_only=True)
    loops = [
        lines_of(drivers / file, code_only=False) for file in ("baseline/pubsub_loop.py", "states/pubsub_machine.py")
    ]
    blocks = difflib.SequenceMatcher(None, *loops, autojunk=False).get_matching_blocks()
    print("the two loops, in order:", sum(block.size for block in blocks))
    print("all files with the same task, in order:", in_order(drivers))
    print("both folders, wherever they stand:", in_both(drivers, code_only=False).total())
    print("both folders, code only:", code.total())
    print("\n".join(f"  {line}" for line in code.elements()))
