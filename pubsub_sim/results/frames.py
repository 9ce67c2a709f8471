"""How does one look at many runs at once? The long frame turned into one row per run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pubsub_sim.results.metrics import METRICS, RUN
from pubsub_sim.results.record import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterable

_RUN_COLUMNS = (*PARAMETERS, "order", "outcome", "error", "limit_s")


def wide(frame: pd.DataFrame) -> pd.DataFrame:
    """Give one row per run.

    Args:
        frame: the long frame of Store.load, or a part of it.

    Returns:
        Columns: the parameters, order, outcome, error and limit_s; then each metric of the run by its name; then
        each metric of a phase as "<phase>/<metric>". Numbers are float64, exact for whole numbers below 2**53,
        because a failed run lacks some of them (NaN); units are those of the metrics table.
    """
    run = frame.groupby(list(PARAMETERS), sort=False).ngroup().rename("run")
    facts = frame.loc[~run.duplicated(), list(_RUN_COLUMNS)].reset_index(drop=True)
    name = frame["metric"].where(frame["phase"] == RUN, frame["phase"] + "/" + frame["metric"])
    long = pd.DataFrame({"run": run, "name": name, "value": frame["value"].astype("float64")})
    values = long.pivot(index="run", columns="name", values="value")
    values = values[_ordered(values.columns, frame.loc[frame["phase"] != RUN, "phase"].unique())]
    values.columns.name = None
    return pd.concat([facts, values.reset_index(drop=True)], axis="columns")


def _ordered(names: Iterable[str], phases: Iterable[str]) -> list[str]:
    wanted = [*METRICS, *(f"{phase}/{metric}" for phase in phases for metric in METRICS)]
    present = set(names)
    return [name for name in wanted if name in present]
