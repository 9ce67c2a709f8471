"""The contract between measuring and reading: metrics, run records and the Parquet store. Measures and draws nothing."""

from pubsub_sim.results.errors import (
    BusyFolderError,
    NoRunsError,
    ResultsError,
    TruncatedFileError,
    UnwritableFolderError,
    WrongSchemaError,
)
from pubsub_sim.results.frames import overview, wide
from pubsub_sim.results.metrics import METRICS, RUN, Metric, metric
from pubsub_sim.results.record import OUTCOMES, Row, RunParameters, RunRecord
from pubsub_sim.results.store import Store

__all__ = [
    "METRICS",
    "OUTCOMES",
    "RUN",
    "BusyFolderError",
    "Metric",
    "NoRunsError",
    "ResultsError",
    "Row",
    "RunParameters",
    "RunRecord",
    "Store",
    "TruncatedFileError",
    "UnwritableFolderError",
    "WrongSchemaError",
    "metric",
    "overview",
    "wide",
]
