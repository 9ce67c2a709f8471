"""Jaeger JSON: what Jaeger's page takes as an upload."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine.export.files import UnwritableFileError
from asyncmachine.export.jaeger import write_jaeger
from asyncmachine.export.spans import build_spans

if TYPE_CHECKING:
    from pathlib import Path

    from asyncmachine.record import Record

SPAN = {
    "traceID", "spanID", "operationName", "references", "startTime", "duration", "tags", "logs", "processID", "warnings",
}  # fmt: skip


def written(record: Record, path: Path, **options: Any) -> list[dict[str, Any]]:
    """Traces of the file."""
    write_jaeger(record, path, **options)
    content = json.loads(path.read_bytes())
    assert content.keys() == {"data", "total", "limit", "offset", "errors"}
    assert content["total"] == len(content["data"])
    return list(content["data"])


def tags(span: dict[str, Any]) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def test_holds_every_span(record: Record, tmp_path: Path) -> None:
    """All traces are there, with whole microseconds, types of tags, and processes that name services."""
    traces = build_spans(record)
    data = written(record, tmp_path / "run.json")
    for trace, told in zip(traces.traces, data, strict=True):
        assert (told["traceID"], told["warnings"]) == (trace.trace_id, None)
        for span, shown in zip(trace.spans, told["spans"], strict=True):
            assert shown.keys() == SPAN
            assert (shown["traceID"], shown["spanID"]) == (span.trace_id, span.span_id)
            assert shown["operationName"] == span.name
            assert shown["startTime"] == span.start_ns // 1000
            process = told["processes"][shown["processID"]]
            assert process["serviceName"] == span.service
            assert {"key": "run.seed", "type": "int64", "value": 7} in process["tags"]
            assert len(shown["logs"]) == len(span.events)
    kinds = {(tag["type"], type(tag["value"])) for told in data for span in told["spans"] for tag in span["tags"]}
    assert kinds == {("string", str), ("int64", int), ("bool", bool), ("float64", float)}


def test_parents_and_links_are_references(record: Record, tmp_path: Path) -> None:
    """The parent comes first, as CHILD_OF; links are FOLLOWS_FROM; a child stays within its parent when rounded."""
    traces = build_spans(record)
    for trace, told in zip(traces.traces, written(record, tmp_path / "run.json"), strict=True):
        by_id = {span["spanID"]: span for span in told["spans"]}
        for span, shown in zip(trace.spans, told["spans"], strict=True):
            expected = [("CHILD_OF", span.trace_id, span.parent_id)] if span.parent_id else []
            expected += [("FOLLOWS_FROM", link.trace_id, link.span_id) for link in span.links]
            assert [(r["refType"], r["traceID"], r["spanID"]) for r in shown["references"]] == expected
            if span.parent_id:
                parent = by_id[span.parent_id]
                assert parent["startTime"] <= shown["startTime"]
                assert shown["startTime"] + shown["duration"] <= parent["startTime"] + parent["duration"]


def test_an_exception_is_marked_as_jaeger_marks_it(record: Record, tmp_path: Path) -> None:
    """Exceptions have the tag its page colours, and the text as description; refused transitions have not."""
    spans = {span["operationName"]: span for span in written(record, tmp_path / "run.json")[0]["spans"]}
    shown = tags(spans["[add] Exception"])
    assert (shown["error"], shown["otel.status_code"]) == (True, "ERROR")
    assert shown["otel.status_description"] == "ValueError: a broken handler"
    refused = tags(spans["(refused) [add] Vetoed"])
    assert (refused["accepted"], "error" in refused) == (False, False)


def test_a_cut_trace_warns(record: Record, tmp_path: Path) -> None:
    """What was left out is a warning on the trace."""
    (run, *_) = written(record, tmp_path / "run.json", max_spans=30)
    assert len(run["spans"]) <= 30
    assert run["warnings"] == [f"{tags(run['spans'][0])['cut_spans']} spans were omitted because there were too many"]


def test_a_folder_in_its_place_is_told(record: Record, tmp_path: Path) -> None:
    """A file that cannot be written is one sentence, and leaves nothing behind."""
    (tmp_path / "run.json").mkdir()
    with pytest.raises(UnwritableFileError, match="cannot write"):
        write_jaeger(record, tmp_path / "run.json")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
