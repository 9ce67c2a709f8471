"""Notebooks that were executed once, for whoever only reads what they put out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from tests.notebooks.execution import Executed, execute


@pytest.fixture(scope="session")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Executed]:
    """Give a notebook, executed on small data. Those about a sweep are executed by their own tests and by the report's."""

    @cache
    def once(name: str) -> Executed:
        place = tmp_path_factory.mktemp(name)
        parameters: dict[str, Any] = {"hosts": 2, "ready": False}
        if name == "5_inside_a_run":
            parameters = {"hosts": 2, "messages": 2}
        elif name == "1_state_machine":
            parameters = {}
        return Executed(parameters, execute(name, place / "out.ipynb", **parameters))

    return once
