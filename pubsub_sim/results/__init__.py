"""The contract between measuring and reading: metrics, run records and the Parquet store. Measures and draws nothing."""

from pubsub_sim.results.engine import (
    ENGINE_FILE,
    EngineClause,
    EngineRecord,
    EngineSample,
    EngineWorkload,
    load_engine,
    read_engine,
    write_engine,
)
from pubsub_sim.results.errors import (
    BusyFolderError,
    EngineFileError,
    NoRunsError,
    ResultsError,
    TruncatedFileError,
    UnwritableFolderError,
    WrongSchemaError,
)
from pubsub_sim.results.frames import fingerprint, overview, wide
from pubsub_sim.results.metrics import METRICS, RUN, Metric, metric
from pubsub_sim.results.record import OUTCOMES, Row, RunParameters, RunRecord
from pubsub_sim.results.store import Store

__all__ = [
    "ENGINE_FILE",
    "METRICS",
    "OUTCOMES",
    "RUN",
    "BusyFolderError",
    "EngineClause",
    "EngineFileError",
    "EngineRecord",
    "EngineSample",
    "EngineWorkload",
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
    "fingerprint",
    "load_engine",
    "metric",
    "overview",
    "read_engine",
    "wide",
    "write_engine",
]
