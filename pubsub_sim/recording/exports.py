"""A recorded run in the forms that other programs open, in one folder that is replaced whole; and sent to those that listen.

What cannot be written or sent is told in a sentence each, and everything else is done all the same.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from asyncmachine.errors import AsyncMachineError
from asyncmachine.export.files import UnwritableFileError
from asyncmachine.record import Record
from pubsub_sim.recording.playing import play_recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pubsub_sim.recording.options import PlayOptions
    from pubsub_sim.recording.playing import Played

RECORD = "run.sqlite"


def export_all(options: PlayOptions, folder: Path) -> tuple[Played, list[str]]:
    """Play a run and leave its record in every form; the files of an earlier run are replaced when all are there.

    Args:
        options: what is played.
        folder: where the files are left.

    Returns:
        What became of the run, and a sentence for each file that could not be written.

    Raises:
        asyncmachine.record.RecordError: no record can be made there.
        UnwritableFileError: the folder cannot be made or replaced.
    """
    hidden = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        hidden.mkdir(parents=True)
        played = play_recorded(replace(options, record=str(hidden / RECORD)), hidden / RECORD)
        with Record.open(hidden / RECORD) as record:
            warnings = export_record(record, hidden)
        _put_in_place(hidden, folder)
    except OSError as error:
        raise UnwritableFileError(folder, error.strerror or str(error)) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return played, warnings


def export_record(record: Record, folder: Path) -> list[str]:
    """Write a record in every form but its own.

    Args:
        record: what is written.
        folder: where to; it has to be there.

    Returns:
        A sentence for each form that could not be written.
    """
    warnings = []
    for write, path in _forms(record, folder):
        try:
            write(record, path)
        except AsyncMachineError as error:
            warnings.append(f"{path.name}: {error}")
    return warnings


def _forms(record: Record, folder: Path) -> Iterator[tuple[Callable[[Record, Path], object], Path]]:
    from asyncmachine.export.jaeger import write_jaeger
    from asyncmachine.export.otlp import write_otlp
    from asyncmachine.export.perfetto import write_perfetto

    yield write_jaeger, folder / "jaeger.json"
    yield write_otlp, folder / "otlp.jsonl"
    yield write_perfetto, folder / "perfetto.json"
    yield _write_page, folder / "run.html"
    if record.machines:
        from asyncmachine.export.amdbg_dump import write_dump

        yield write_dump, folder / "am-dbg.gob.br"


def _write_page(record: Record, path: Path) -> None:
    from asyncmachine.export.timeline import timeline

    facts = record.run["attributes"]
    title = f"{facts['scenario']}, {facts['version']}, {facts['hosts']} hosts, {facts['messages']} messages"
    timeline(record, title=title).save(path)


def send(record: Record, endpoint: str) -> str:
    """Send a record to an OpenTelemetry collector.

    Args:
        record: what is sent.
        endpoint: the collector's address: http:// or https:// for OTLP over HTTP, grpc:// for OTLP over gRPC.

    Returns:
        Why it did not get there, in a sentence; empty if it did.
    """
    from asyncmachine.export.otlp import send_otlp

    try:
        if endpoint.startswith("grpc://"):
            send_otlp(record, endpoint.replace("grpc://", "http://", 1), "grpc")
        else:
            send_otlp(record, endpoint)
    except AsyncMachineError as error:
        return str(error)
    return ""


def _put_in_place(hidden: Path, folder: Path) -> None:
    """Replace a folder by another one."""
    former = folder.with_name(f".{folder.name}.{os.getpid()}.old.tmp")
    with suppress(FileNotFoundError):
        folder.rename(former)
    hidden.rename(folder)
    shutil.rmtree(former, ignore_errors=True)
