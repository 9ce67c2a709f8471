"""Tests of am-dbg's dumps: loaded into a record and written again, nothing is lost; what cannot be read is told."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import brotli
import pytest
from hypothesis import given, settings

from asyncmachine import Machine
from asyncmachine.export.amdbg.messages import DUMP, TRANSITION
from asyncmachine.export.amdbg.times import pack_time, unpack_time
from asyncmachine.export.amdbg_dump import DumpError, read_dump, write_dump
from asyncmachine.export.errors import MissingExtraError
from asyncmachine.export.gob import BOOL, BYTES, COMPLEX, INT, STRING, UINT, Interface, Slice, Struct, decode, encode
from asyncmachine.record import NotARecordError, Record, Recorder, UnwritableRecordError
from tests.asyncmachine.export.gob_values import values

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parents[2] / "data/am-dbg"
SIMULATION = DATA / "sim-2024.gob.br"
Messages = list[dict[str, Any]]


def messages_of(path: Path) -> Any:
    (message,) = decode(brotli.decompress(path.read_bytes()))
    return message.value


def dump_of(folder: Path, value: Any, kind: Any = DUMP) -> Path:
    path = folder / "made.gob.br"
    path.write_bytes(brotli.compress(encode(kind, value), quality=0))
    return path


def written_again(path: Path, folder: Path) -> Any:
    read_dump(path, folder / "record.sqlite")
    with Record.open(folder / "record.sqlite") as record:
        write_dump(record, folder / "again.gob.br")
    return messages_of(folder / "again.gob.br")


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of the simulation."""
    path = tmp_path_factory.mktemp("simulation") / "run.sqlite"
    assert read_dump(SIMULATION, path) == 7605
    return path


def test_a_simulation_of_2024_goes_there_and_back(simulation: Path, tmp_path: Path) -> None:
    """A dump of 107 machines loads into a small record and comes out with equal values."""
    assert simulation.stat().st_size <= 1_500_000
    with Record.open(simulation) as record:
        assert (len(record.machines), record.last_seq) == (107, 7605)
        write_dump(record, tmp_path / "again.gob.br")
    assert messages_of(tmp_path / "again.gob.br") == messages_of(SIMULATION)


def test_the_clocks_of_a_loaded_dump_are_those_it_holds(simulation: Path) -> None:
    """Replayed to its end, a loaded record has the clocks of each machine's last message."""
    last = {one["MsgStruct"]["ID"]: one["MsgTxs"][-1]["Clocks"] for one in messages_of(SIMULATION)}
    with Record.open(simulation) as record:
        clocks = record.clocks()
    assert {machine: list(ticks.values()) for machine, ticks in clocks.items()} == last


def golden() -> Messages:
    """The golden streams as a dump, a millisecond between messages."""
    dump: Messages = []
    for name in ("1.c2s", "2.c2s"):
        bodies = [message.value for message in decode((DATA / name).read_bytes())][1::2]
        for at, message in enumerate(bodies[1:]):
            message["Time"] = pack_time(1_700_000_000_000_000_000 + at * 1_000_000)
        dump.append({"MsgStruct": bodies[0], "MsgTxs": bodies[1:], "Version": "v0.19.1"})
    return dump


def test_what_the_library_sends_today_goes_there_and_back(tmp_path: Path) -> None:
    """Queued mutations, arguments, groups and all of a stream of today come out as they went in."""
    assert written_again(dump_of(tmp_path, golden()), tmp_path) == golden()
    with Record.open(tmp_path / "record.sqlite") as record:
        refused = [(t.change.label, t.change.refused_by) for t in record.transitions() if not t.change.accepted]
        source = next(t.source for t in record.transitions("child") if t.source is not None)
        assert refused == [("[add] Work", "relations"), ("[add] Refused", "RefusedEnter")]
        assert record.blocked("Work")[0].text.endswith("Work requires Ready")
        assert record.tx_id(source) == "parent-5"
        assert len(record.queued()) == 13


@settings(deadline=None, max_examples=25)
@given(values(DUMP, (BOOL, INT, UINT, STRING, BYTES)))
def test_any_dump_goes_there_and_back(dump: Messages) -> None:
    """Whatever values the fields have, nothing is lost and nothing breaks."""
    for machine in dump:
        schema = machine.setdefault("MsgStruct", {})
        if "StatesIndex" in schema:
            schema["StatesIndex"] = list(dict.fromkeys(schema["StatesIndex"]))
        for message in machine.get("MsgTxs", ()):
            if "Type" in message:
                message["Type"] = abs(message["Type"]) % 3 + 1
    with TemporaryDirectory() as folder:
        assert written_again(dump_of(Path(folder), dump), Path(folder)) == dump


def test_names_may_be_no_unicode(tmp_path: Path) -> None:
    """Go's strings are bytes: ids, states and arguments that are no UTF-8 survive."""
    odd = b"\xff\xfe".decode("utf-8", "surrogateescape")
    schema = {"ID": odd, "StatesIndex": [odd], "States": {odd: {"Auto": True}}, "Parent": odd}
    message = {"MachineID": odd, "ID": odd, "Clocks": [1], "CalledStatesIdxs": [0], "Args": {odd: odd, "err": odd}}
    message |= {"Accepted": True, "LogEntries": [{"Text": odd}], "Time": pack_time(1)}
    dump = [{"MsgStruct": schema, "MsgTxs": [message, {**message, "IsQueued": True}]}]
    assert written_again(dump_of(tmp_path, dump), tmp_path) == dump


def test_the_times_of_a_run_are_in_its_dump(tmp_path: Path) -> None:
    """A dump has the record's times, on the clock it is read by."""
    with Recorder(tmp_path / "run.sqlite", loop_time_ns=lambda: 90_000_000_000) as recorder:
        Machine({"A": {}}, id="m", tracers=[recorder]).add("A")
    with Record.open(tmp_path / "run.sqlite", clock="loop") as record:
        write_dump(record, tmp_path / "run.gob.br")
        started = int(record.run["started_unix_ns"])
    ((only,),) = [one["MsgTxs"] for one in messages_of(tmp_path / "run.gob.br")]
    assert unpack_time(only["Time"]) == (started + 90_000_000_000, -1)


def test_a_record_of_changes_is_told_without_a_queue(tmp_path: Path) -> None:
    """A record that knows nothing of queues tells each transition once, with ids that depend on machine and number only."""
    ids = []
    for name in ("a", "b"):
        with Recorder(tmp_path / f"{name}.sqlite") as recorder:
            machine = Machine({"A": {}, "B": {"auto": True}}, id="m", tracers=[recorder])
            machine.add("A")
        with Record.open(tmp_path / f"{name}.sqlite") as record:
            write_dump(record, tmp_path / "run.gob.br")
        ((first, second),) = [one["MsgTxs"] for one in messages_of(tmp_path / "run.gob.br")]
        ids.append([first["ID"], second["ID"]])
        assert [first["Clocks"], second["Clocks"]] == [[0, 1, 0], [0, 1, 1]]
        assert [entry["Text"] for entry in first["LogEntries"]] == ["[add] A", "[state] +A"]
        assert (second["IsAuto"], second["MutQueueToken"], second["QueueTick"]) == (True, 1, 2)
    assert ids[0] == ids[1]
    assert all(len(id_) == 16 and int(id_, 16) for id_ in ids[0])


def test_reasons_and_sources_are_found_where_a_dump_has_them(tmp_path: Path) -> None:
    """Who removed a called state, what was missing already, who refused without a log, and sources outside the dump."""
    schema = {"ID": "m", "StatesIndex": ["A", "B", "C"], "States": {"A": {"Remove": ["B"]}, "C": {"Require": ["A"]}}}
    message = {"MachineID": "m", "QueueTick": 2, "Clocks": [1, 0, 0], "CalledStatesIdxs": [1]}
    removed = [
        {"Type": 1, "RelType": 3, "FromState": "A", "ToState": "B"},
        {"Type": 64, "FromStateIdx": -1, "ToState": "B"},
    ]
    missing = {"Type": 16, "FromStateIdx": 2, "ToStateIdx": -1}
    handler = {"Type": 2, "IsEnter": True, "FromStateIdx": -1, "ToStateIdx": 1}
    messages = [
        {
            **message,
            "Accepted": True,
            "CalledStatesIdxs": [0],
            "Steps": [{"Type": 4, "FromStateIdx": -1, "ToState": "A"}],
        },
        {**message, "Steps": [*removed, missing], "LogEntries": [{"Text": "[source] elsewhere/0123456789abcdef/1"}]},
        {**message, "Steps": [handler]},
        {**message, "LogEntries": [{"Text": "[cancel] (B) by recover"}]},
    ]
    dump = [{"MsgStruct": schema, "MsgTxs": messages}]
    assert written_again(dump_of(tmp_path, dump), tmp_path) == dump
    with Record.open(tmp_path / "record.sqlite") as record:
        changes = [transition.change for transition in record.transitions()]
        assert not any(transition.source for transition in record.transitions())
    assert [change.refused_by for change in changes] == ["", "relations", "BEnter", "error"]
    assert changes[0].moved == {"A": 1}
    assert changes[1].reason == (("B", "removed by", ("A",)),)


# what cannot be read

BAD_TYPE = Slice(Struct("", [("MsgStruct", Struct("", [("ID", INT)]))]))
NEW_FIELD = Slice(Struct("", [("MsgTxs", Slice(Struct("", [*TRANSITION.fields, ("Mood", STRING)])))]))
MAP_AS_LIST = Slice(Struct("", [("MsgStruct", Struct("", [("States", Slice(STRING))]))]))
BAD_DUMPS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "nowhere.gob.br", "No such file or directory"),
    "a folder": (lambda folder: folder, "Is a directory"),
    "an unknown field": (lambda folder: dump_of(folder, [{"MsgTxs": [{"Mood": "x"}]}], NEW_FIELD), "the field MsgTxs.Mood is not known"),
    "another type": (lambda folder: dump_of(folder, [{"MsgStruct": {"ID": 1}}], BAD_TYPE), "the field MsgStruct.ID is of type int instead of string"),
    "a list for a map": (lambda folder: dump_of(folder, [{"MsgStruct": {"States": ["A"]}}], MAP_AS_LIST), "the field MsgStruct.States is of type slice instead of map"),
    "something else": (lambda folder: dump_of(folder, "text", STRING), "its value is of type string instead of slice"),
    "a state named twice": (lambda folder: dump_of(folder, [{"MsgStruct": {"ID": "m", "StatesIndex": ["A", "A"]}}]), "machine 'm' names a state twice"),
    "an unknown mutation": (lambda folder: dump_of(folder, [{"MsgTxs": [{"ID": "t", "Type": 9}]}]), "transition 't' is of the unknown type 9"),
    "an odd interface": (lambda folder: dump_of(folder, [{"MsgTxs": [{"Steps": [{"Data": Interface("c", COMPLEX, 1j)}]}]}]), "it holds a value of an unknown type"),
}  # fmt: skip


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


BAD_BYTES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "text": (lambda data: b"{}" * 100, "it is not compressed by brotli"),
    "nothing": (lambda data: b"", "it is truncated"),
    "cut off": (lambda data: data[:-1000], "it is truncated"),
    "cut off early": (lambda data: data[:3], "it is truncated"),
    "no gob": (lambda data: brotli.compress(b"x" * 200), "not a gob stream at byte 0: the stream|not a gob stream at byte"),
    "two values": (lambda data: brotli.compress(encode(INT, 1) * 2), "it holds 2 values instead of one"),
}  # fmt: skip


def refuses(path: Path, folder: Path, reason: str) -> None:
    """The dump is refused in one sentence; an earlier record stays, and nothing half-written does."""
    record = folder / "out" / "record.sqlite"
    record.parent.mkdir()
    with Recorder(record):
        pass
    before = record.read_bytes()
    with pytest.raises(DumpError, match=reason) as caught:
        read_dump(path, record)
    assert str(caught.value) == f"{caught.value.path} is not a dump of am-dbg: {caught.value.reason}"
    assert "\n" not in str(caught.value)
    assert record.read_bytes() == before
    assert [file.name for file in record.parent.iterdir()] == ["record.sqlite"]


@pytest.mark.parametrize("what", BAD_DUMPS)
def test_a_bad_dump_is_one_sentence(what: str, tmp_path: Path) -> None:
    """What is no dump, or holds something unknown, is refused, and nothing is left of it."""
    make, reason = BAD_DUMPS[what]
    refuses(make(tmp_path), tmp_path, reason)


@pytest.mark.parametrize("what", BAD_BYTES)
def test_bad_bytes_are_one_sentence(what: str, tmp_path: Path) -> None:
    """A file that is cut off, or something else, is refused, and nothing is left of it."""
    change, reason = BAD_BYTES[what]
    refuses(write(tmp_path / "bad.gob.br", change(SIMULATION.read_bytes())), tmp_path, reason)


def test_a_dump_that_grows_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file cannot fill the memory."""
    monkeypatch.setattr("asyncmachine.export.amdbg_dump.MAX_DUMP", 10_000_000)
    refuses(write(tmp_path / "bomb", brotli.compress(b"\0" * 50_000_000, quality=1)), tmp_path, "longer than 10000000")


def test_other_files_are_not_replaced(tmp_path: Path) -> None:
    """A record is never written over something else."""
    path = write(tmp_path / "notes.txt", b"mine")
    with pytest.raises(NotARecordError):
        read_dump(SIMULATION, path)
    assert path.read_bytes() == b"mine"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A record that cannot be made is one sentence that names its place."""
    record = write(tmp_path / "file", b"") / "run.sqlite"
    with pytest.raises(UnwritableRecordError, match=f"^{record} cannot be "):
        read_dump(dump_of(tmp_path, golden()), record)


@pytest.mark.parametrize("limit", [50_000, 400_000])
def test_a_full_disk_leaves_nothing(limit: int, tmp_path: Path) -> None:
    """When there is no room for the record, be it at its beginning or later, that is one sentence, and nothing is left."""
    record = tmp_path / "out" / "run.sqlite"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        with pytest.raises(UnwritableRecordError, match=f"^{record} cannot be "):
            read_dump(SIMULATION, record)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(record.parent.iterdir()) == []


def test_a_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without brotli both directions say what to install."""
    monkeypatch.setitem(sys.modules, "brotli", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'asyncmachine\[amdbg\]'"):
        read_dump(SIMULATION, tmp_path / "run.sqlite")
    with Recorder(tmp_path / "run.sqlite"):
        pass
    with Record.open(tmp_path / "run.sqlite") as record, pytest.raises(MissingExtraError, match="'brotli'"):
        write_dump(record, tmp_path / "run.gob.br")
