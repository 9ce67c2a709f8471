"""The stored results of runs, between measurement and reports: metrics, run records and the Parquet store."""

from pubsub_sim.packages import explain_missing, require

require("pubsub_sim.results", "pandas")  # imported by what makes frames

with explain_missing("pubsub_sim.results"):
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
        PackedRunsError,
        ResultsError,
        TruncatedFileError,
        UnreadableFileError,
        UnwritableFolderError,
        WrongSchemaError,
    )
    from pubsub_sim.results.frames import fingerprint, overview, wide
    from pubsub_sim.results.metrics import METRICS, RUN, Metric, metric
    from pubsub_sim.results.record import NAME, OUTCOMES, PAIR, Row, RunParameters, RunRecord, check_ending, is_name
    from pubsub_sim.results.store import Store

__all__ = [
    "ENGINE_FILE",
    "METRICS",
    "NAME",
    "OUTCOMES",
    "PAIR",
    "RUN",
    "BusyFolderError",
    "EngineClause",
    "EngineFileError",
    "EngineRecord",
    "EngineSample",
    "EngineWorkload",
    "Metric",
    "NoRunsError",
    "PackedRunsError",
    "ResultsError",
    "Row",
    "RunParameters",
    "RunRecord",
    "Store",
    "TruncatedFileError",
    "UnreadableFileError",
    "UnwritableFolderError",
    "WrongSchemaError",
    "check_ending",
    "fingerprint",
    "is_name",
    "load_engine",
    "metric",
    "overview",
    "read_engine",
    "wide",
    "write_engine",
]
