"""Notebooks that were executed once, for whoever only reads what they put out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from pubsub_sim.results import write_engine
from tests.notebooks.execution import Executed, execute
from tests.report.runs import write_sweep
from tests.results.engine_runs import an_engine


@pytest.fixture(scope="session")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Executed]:
    """Give a notebook, executed on small data; the findings on a sweep with watched runs and the engine's costs."""

    @cache
    def once(name: str) -> Executed:
        place = tmp_path_factory.mktemp(name)
        parameters: dict[str, Any] = {"hosts": 2, "ready": False}
        if name == "5_inside_a_run":
            parameters = {"hosts": 2, "messages": 2}
        elif name == "1_state_machine":
            parameters = {}
        elif name == "4_findings":
            parameters = {"sweep": str(place / "runs")}
            write_sweep(place / "runs", repeats=2, watched=True)
            write_engine(place / "runs", an_engine())
        return Executed(parameters, execute(name, place / "out.ipynb", **parameters))

    return once
