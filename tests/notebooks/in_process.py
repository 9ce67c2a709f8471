"""The cells of a notebook, run in the process of the test: a kernel shows the same, and takes much longer to begin.

That they do run in a kernel, started by papermill, is shown of every notebook once, by the fixture `executed`.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import CodeType, ModuleType
from typing import Any

from IPython.core.formatters import DisplayFormatter
from nbformat import v4

from tests.notebooks.execution import stored

_AWAITS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def execute_here(name: str, **parameters: Any) -> dict[str, list[Any]]:
    """Run a notebook's own cells of code one after the other, in a running loop; give their outputs by the cell's id.

    Raises:
        NotebookError: the notebook refuses its parameters, or cannot go on.
    """
    with warnings.catch_warnings(), _as_main() as namespace:
        warnings.simplefilter("ignore")  # as in a kernel, where they are printed and end nothing
        return asyncio.run(_executed(name, parameters, namespace))


async def _executed(name: str, parameters: dict[str, Any], namespace: dict[str, Any]) -> dict[str, list[Any]]:
    injected = "# Parameters\n" + "\n".join(f"{key} = {value!r}" for key, value in parameters.items())
    found = {}
    for cell in stored(name).cells:
        if cell.cell_type != "code":
            continue
        found[cell.id] = await _shown(cell.source, namespace)
        if "parameters" in cell.metadata.get("tags", ()):
            await _shown(injected, namespace)
    return found


async def _shown(source: str, namespace: dict[str, Any]) -> list[Any]:
    """Run one cell; give what it prints, what it displays and its last expression as a kernel would."""
    outputs: list[Any] = []
    namespace["In"].append(source)
    namespace["display"] = lambda *values: outputs.extend(_output("display_data", value) for value in values)
    with redirect_stdout(io.StringIO()) as printed:
        value = await _run(source, namespace)
    if printed.getvalue():
        outputs.insert(0, v4.new_output("stream", name="stdout", text=printed.getvalue()))
    if value is not None:
        outputs.append(_output("execute_result", value))
    return outputs


async def _run(source: str, namespace: dict[str, Any]) -> Any:
    """Run the statements of a cell; give the value of its last expression, None if it ends with a statement."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    await _finished(compile(ast.Module(body, []), "<cell>", "exec", flags=_AWAITS), namespace)
    if last is None:
        return None
    return await _finished(compile(ast.Expression(last.value), "<cell>", "eval", flags=_AWAITS), namespace)


async def _finished(code: CodeType, namespace: dict[str, Any]) -> Any:
    value = eval(code, namespace)
    return await value if code.co_flags & inspect.CO_COROUTINE else value


def _output(kind: str, value: object) -> Any:
    data, metadata = DisplayFormatter().format(value)
    output = v4.new_output(kind, data=data, metadata=metadata)
    output.pop("execution_count", None)  # as `execute` leaves it out
    return output


@contextmanager
def _as_main() -> Iterator[dict[str, Any]]:
    """Give the namespace of a module `__main__` that is there as long: classes made in a notebook belong to that."""
    before = sys.modules["__main__"]
    module = sys.modules["__main__"] = ModuleType("__main__")
    try:
        module.__dict__["In"] = [""]
        yield module.__dict__
    finally:
        sys.modules["__main__"] = before
        module.__dict__.clear()  # as at the end of a kernel, nothing of the notebook is left
        gc.collect()
