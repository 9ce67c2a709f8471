"""What would the engine be without its hooks? The same source, read with every question to observers taken out.

For the comparison that shows what hooks cost when no tracer is bound. For a process of its own: it replaces the
engine that is loaded.
"""

from __future__ import annotations

import ast
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_ROOM = "asyncmachine.benchmark"
_BITS = {"OBSERVED", "RECORDED"}
_ASKED = {*_BITS, "_hooks", "_log_level"}
_BESIDE = {"self", "m", "machine", "gate", "_gate", "parent"}


def load() -> int:
    """Load the engine anew without its hooks.

    Returns:
        How many places were taken out.

    Raises:
        ImportError: None was found, so this would be the engine as it is.
    """
    finder = _Finder()
    for name in [name for name in sys.modules if name.startswith("asyncmachine.") and not name.startswith(_ROOM)]:
        del sys.modules[name]
    package = sys.modules.pop("asyncmachine")
    sys.meta_path.insert(0, finder)
    try:
        __import__("asyncmachine")
    finally:
        sys.meta_path.remove(finder)
    sys.modules["asyncmachine"].benchmark = package.benchmark  # type: ignore[attr-defined]  # the room is kept
    if not finder.taken_out:
        raise ImportError("the engine has no hooks that could be taken out")
    return finder.taken_out


class HookRemover(ast.NodeTransformer):
    """Takes the questions to observers out of a syntax tree.

    Attributes:
        taken_out: How many there were.
    """

    def __init__(self) -> None:
        self.taken_out = 0

    def visit_If(self, node: ast.If) -> Any:
        """Delete what happens only when somebody observes."""
        if _only_asks_for_observers(node.test):
            self.taken_out += 1
            otherwise = [self.visit(statement) for statement in node.orelse]
            flat = [part for one in otherwise for part in (one if isinstance(one, list) else [one])]
            return flat or ast.Pass()
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Let the bits that say "observed" be none where they are some of several."""
        if node.id in _BITS and isinstance(node.ctx, ast.Load):
            self.taken_out += 1
            return ast.copy_location(ast.Constant(0), node)
        return node


def _only_asks_for_observers(test: ast.expr) -> bool:
    """Whether a condition is false without observers, whatever else is so."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(_only_asks_for_observers(value) for value in test.values)
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    attributes = [node.attr for node in ast.walk(test) if isinstance(node, ast.Attribute)]
    is_of_hooks = "_hooks" in attributes
    plain = all(
        isinstance(node, ast.Name | ast.Attribute | ast.BinOp | ast.BitAnd | ast.Load) for node in ast.walk(test)
    )
    known = names <= _ASKED | _BESIDE and (is_of_hooks or set(attributes) <= _ASKED | _BESIDE)
    return plain and known and bool((names | set(attributes)) & _ASKED)


class _Finder(MetaPathFinder):
    def __init__(self) -> None:
        self.taken_out = 0

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name.split(".")[0] == "asyncmachine" else None
        if spec is not None and spec.origin is not None and not name.startswith(_ROOM):
            spec.loader = _loader(name, spec.origin, self)
        return spec


def _loader(name: str, origin: str, finder: _Finder) -> Loader:
    class WithoutHooks(SourceFileLoader):
        def get_code(self, fullname: str) -> Any:
            tree = ast.parse(self.get_data(self.path))
            remover = HookRemover()
            tree = ast.fix_missing_locations(remover.visit(tree))
            finder.taken_out += remover.taken_out
            return compile(tree, self.path, "exec")

    return WithoutHooks(name, origin)
