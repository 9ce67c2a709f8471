"""Who starts a task hears of its end: tasks are started by their owners, and nowhere by hand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWNERS = {"pubsub_sim/node/lifetime.py"}
FOREIGN = {"pubsub_sim/bench/peers/py_libp2p.py"}  # another implementation, with ways of its own
BY_HAND = {"create_task", "ensure_future", "run_coroutine_threadsafe"}


def modules() -> list[str]:
    paths = sorted((ROOT / "pubsub_sim").rglob("*.py"))
    return [path.relative_to(ROOT).as_posix() for path in paths]


def started_by_hand(tree: ast.AST) -> list[int]:
    """Lines that start a task that no owner and no TaskGroup (always `group` here) has, or whose errors a gather drops."""
    lines = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, owner = node.func.attr, ast.unparse(node.func.value)
        gathers = name == "gather" and all(keyword.arg != "return_exceptions" for keyword in node.keywords)
        if gathers or (name in BY_HAND and owner != "group"):
            lines.append(node.lineno)
    return lines


def test_no_task_is_started_by_hand() -> None:
    """A task without an owner fails in silence."""
    for module in modules():
        if module not in OWNERS | FOREIGN:
            assert started_by_hand(ast.parse((ROOT / module).read_text())) == [], module


@pytest.mark.parametrize(
    "code",
    ["asyncio.create_task(f())", "loop.create_task(f())", "asyncio.ensure_future(f())", "asyncio.gather(f(), g())"],
)
def test_a_task_started_by_hand_is_found(code: str) -> None:
    """So that the test above can fail."""
    assert started_by_hand(ast.parse(code)) == [1]
    assert started_by_hand(ast.parse("group.create_task(f()); lifetime.start(f(), 'name')")) == []
