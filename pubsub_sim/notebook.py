"""Parameters of a notebook, including those injected by papermill, and the error that ends a notebook."""

from __future__ import annotations

import ast
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pubsub_sim.errors import PubsubSimError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_INJECTED = "# Parameters"


class NotebookError(Exception):
    """Ends a notebook with one sentence instead of a traceback, and papermill with a non-zero status.

    Attributes:
        sentence: the problem.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    def _render_traceback_(self) -> list[str]:
        return [self.sentence]


@contextmanager
def one_sentence() -> Iterator[None]:
    """Convert errors of this package into a NotebookError.

    Raises:
        NotebookError: a PubsubSimError was raised inside.
    """
    try:
        yield
    except PubsubSimError as error:
        raise NotebookError(str(error)) from None


def parameters_in(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definitions in a notebook's parameters cell and in the cell that papermill adds after it.

    Args:
        namespace: ``globals()`` of the notebook, in the cell that follows the parameters cell. The parameters cell
            is the latest executed one that begins with an annotated name; papermill's cells begin with a comment.

    Returns:
        Values by name in order of their last assignment, including unknown names, which papermill injects too with a
        warning.
    """
    names: dict[str, None] = {}
    for source in namespace["In"]:
        found = _assigned(source)
        if found is not None and found[1]:
            names = {}
        for name in found[0] if found else ():
            names.pop(name, None)
            names[name] = None
    return {name: namespace[name] for name in names if name in namespace}


def _assigned(source: str) -> tuple[list[str], bool] | None:
    """Return the names assigned by a parameters cell and whether it is the notebook's own; None for other cells."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return None
    is_own = bool(statements) and isinstance(statements[0], ast.AnnAssign)
    if not is_own and not source.startswith(_INJECTED):
        return None
    names = []
    for statement in statements:
        if isinstance(statement, ast.Assign):
            names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            names.append(statement.target.id)
    return names, is_own
