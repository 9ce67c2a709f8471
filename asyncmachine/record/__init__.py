"""Recording of runs, one file each, and queries on the records.

with Recorder("run.sqlite") as recorder:
    machine = Machine(Schema, tracers=[recorder])
    ...
with Record.open("run.sqlite") as record:
    record.why(record.last_seq)
"""

from asyncmachine.record.errors import (
    DamagedRecordError,
    MissingRecordError,
    NotARecordError,
    RecordError,
    RecordFileError,
    RecordVersionError,
    UnknownMachineError,
    UnknownTransitionError,
    UnwritableRecordError,
)
from asyncmachine.record.format import (
    Change,
    HandlerCall,
    LogLine,
    Operation,
    Origin,
    Point,
    QueuedMutation,
    RecordedMachine,
    RecordedSpan,
    RecordedTransition,
    Step,
    WaitEvent,
)
from asyncmachine.record.questions import Difference, Record, RecordedHistory, Refusal
from asyncmachine.record.reading import Activation
from asyncmachine.record.recorder import Recorder
from asyncmachine.record.spans import Span
from asyncmachine.record.writer import RecordWriter

__all__ = [
    "Activation",
    "Change",
    "DamagedRecordError",
    "Difference",
    "HandlerCall",
    "LogLine",
    "MissingRecordError",
    "NotARecordError",
    "Operation",
    "Origin",
    "Point",
    "QueuedMutation",
    "Record",
    "RecordError",
    "RecordFileError",
    "RecordVersionError",
    "RecordWriter",
    "RecordedHistory",
    "RecordedMachine",
    "RecordedSpan",
    "RecordedTransition",
    "Recorder",
    "Refusal",
    "Span",
    "Step",
    "UnknownMachineError",
    "UnknownTransitionError",
    "UnwritableRecordError",
    "WaitEvent",
]
