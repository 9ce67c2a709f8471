"""The reusable schemas compose, and machines made of them do what their states say."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from asyncmachine import Event, Machine, Schema, State, schemas

ALL = (schemas.Basic, schemas.Connected, schemas.ConnPool, schemas.Disposed)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (schemas.Basic, {
            "Exception": {"multi": True},
            "ErrNetwork": {"multi": True, "require": ["Exception"], "add": ["Exception"]},
            "ErrHandlerTimeout": {"multi": True, "require": ["Exception"], "add": ["Exception"]},
            "Start": {}, "Ready": {"require": ["Start"]}, "Healthcheck": {"multi": True}, "Heartbeat": {},
        }),
        (schemas.Connected, {
            "Exception": {"multi": True}, "Start": {}, "ErrConnecting": {"require": ["Exception"]},
            "Connecting": {"require": ["Start"], "remove": ["Connected", "Disconnecting", "Disconnected"]},
            "Connected": {"require": ["Start"], "remove": ["Connecting", "Disconnecting", "Disconnected"]},
            "Disconnecting": {"remove": ["Connecting", "Connected", "Disconnected"]},
            "Disconnected": {"auto": True, "remove": ["Connecting", "Connected", "Disconnecting"]},
        }),
        (schemas.ConnPool, {
            "Exception": {"multi": True}, "Start": {}, "ErrConnecting": {"require": ["Exception"]},
            "Disconnected": {"remove": ["Connecting", "ConnectedFully", "Disconnecting"]},
            "Connecting": {"require": ["Start"], "remove": ["Disconnecting"]},
            "Connected": {"require": ["Start"], "remove": ["Disconnected"]},
            "ConnectedFully": {"require": ["Connected"], "remove": ["Disconnected"]},
            "Disconnecting": {"remove": ["ConnectedFully", "Connected", "Connecting"]},
        }),
        (schemas.Disposed, {
            "Exception": {"multi": True}, "Start": {}, "RegisterDisposal": {"multi": True},
            "Disposing": {"remove": ["Start", "Exception"]},
            "Disposed": {"remove": ["Start", "Exception", "Disposing"]},
        }),
    ],
)  # fmt: skip
def test_states_are_those_of_the_reference(schema: type[Schema], expected: dict[str, Any]) -> None:
    """Names and relations as documented, `Start` declared where it is required."""
    assert schema.to_dict() == expected


def test_flow_of_a_connection() -> None:
    """The reference's example: disconnected by itself, until there is a connection."""

    class Client(schemas.Basic, schemas.Connected):
        """Both by inheritance."""

    m = Machine(Client)
    m.add("Start")
    assert set(m.active_states()) == {"Start", "Disconnected"}
    m.add("Connected")
    assert (set(m.active_states()), m.tick("Disconnected")) == ({"Start", "Connected"}, 2)
    m.remove("Start")
    assert m.active_states() == ("Disconnected",)


def test_errors_come_with_exception() -> None:
    """A network error is an error; without one there is no connecting error."""
    m = Machine(schemas.Basic.merge(schemas.Connected))
    m.add("ErrNetwork")
    assert set(m.active_states()) == {"Exception", "ErrNetwork", "Disconnected"}
    m.remove("Exception")
    assert m.add("ErrConnecting").canceled
    m.add_err(OSError("refused"), "ErrConnecting")
    assert m.is_("Exception", "ErrConnecting")


def test_pool() -> None:
    """Connected while there is a connection, fully connected on top of that."""
    m = Machine(schemas.ConnPool)
    m.add("Start", "Disconnected")
    assert m.add("Connecting").canceled  # being disconnected has to end first
    m.add("Connected")
    assert m.not_("Disconnected")
    m.add("Connecting")  # one more, while the first goes on
    assert m.is_("Connecting", "Connected")
    m.add("ConnectedFully")
    m.add("Disconnecting")
    assert set(m.active_states()) == {"Start", "Disconnecting"}


def test_inheritance_merge_and_prefix() -> None:
    """They compose in all three ways, and own states can relate to inherited ones."""

    class Worker(schemas.Basic, schemas.Connected, schemas.Disposed):
        Working = State(require=("Ready", "Connected"))

    merged = schemas.Basic.merge(schemas.Connected).merge(schemas.Disposed)
    assert {*merged.names, "Working"} == set(Worker.names)
    assert Worker.Working == "Working"
    two = schemas.Connected.prefix("Db").merge(schemas.Connected.prefix("Cache"))
    m = Machine(two)
    m.add("DbStart")
    m.add("DbConnected")
    assert set(m.active_states()) == {"DbStart", "DbConnected", "CacheDisconnected"}


@pytest.mark.parametrize(("schema", "name"), [(schema, name) for schema in ALL for name in schema.names])
def test_every_state_can_be_reached(schema: type[Schema], name: str) -> None:
    """Together with what it requires, and with nothing else."""
    called = [name]
    for state in called:  # grows while it is walked
        called += schema.states[state].require
    assert Machine(schema).add(*called).executed


def test_disposal_in_order(caplog: pytest.LogCaptureFixture) -> None:
    """Registered functions one after the other, a failing one logged, then those of `on_dispose`; waiting is possible."""
    seen: list[str] = []

    async def slowly() -> None:
        seen.append("begins")
        await asyncio.sleep(0)
        seen.append("ends")

    def failing() -> None:
        raise OSError("cannot close")

    async def main() -> None:
        m = Machine(schemas.Disposed, id="m", handlers=schemas.DisposedHandlers())
        m.on_dispose(lambda: seen.append("on_dispose"))
        m.add("Start")
        for disposal in (slowly, failing, lambda: seen.append("plain")):
            assert m.add("RegisterDisposal", disposal=disposal).executed
        m.add("Disposing")
        assert m.not_("Start")
        await m.disposed()
        assert m.is_disposed

    with caplog.at_level(logging.ERROR, "asyncmachine"):
        asyncio.run(main())
    assert seen == ["begins", "ends", "plain", "on_dispose"]
    assert "cannot close" in caplog.text


def test_what_cannot_be_called_is_not_registered() -> None:
    """It is refused, and an error of the machine outside a dry run."""
    m = Machine(schemas.Disposed, handlers=schemas.DisposedHandlers())
    assert m.can_add("RegisterDisposal").canceled
    assert not m.is_err()
    assert m.add("RegisterDisposal", disposal=3).canceled
    assert str(m.err) == "disposal must be a function without arguments, got 3"
    assert m.tick("RegisterDisposal") == 0


class Dialog(Schema):
    """The reference's popup dialog, as plain states."""

    Enabled = State()
    ButtonClicked = State(require=Enabled)
    ShowingDialog = State(remove="DialogVisible")
    DownloadingData = State(auto=True, require=ShowingDialog, remove="DataDownloaded")
    PreloaderVisible = State(auto=True, require=DownloadingData)
    DataDownloaded = State(remove=DownloadingData)
    DialogVisible = State(require=DataDownloaded, remove=ShowingDialog)


class DialogHandlers:
    def ButtonClickedState(self, e: Event) -> None:
        e.add("ShowingDialog")
        e.remove("ButtonClicked")

    async def DownloadingDataState(self, e: Event) -> None:
        await asyncio.sleep(0)
        e.machine.add("DataDownloaded")

    def DataDownloadedState(self, e: Event) -> None:
        e.add("DialogVisible")


def test_popup_machine() -> None:
    """PopupMachine: the reference's end-to-end example, tick by tick."""

    async def main() -> None:
        m = Machine(Dialog, handlers=DialogHandlers())
        m.add("Enabled")
        m.add("ButtonClicked", button="red")
        await m.when("DialogVisible")
        assert str(m) == "(Enabled:1 DataDownloaded:1 DialogVisible:1)"
        gone = ("ButtonClicked", "ShowingDialog", "DownloadingData", "PreloaderVisible")
        assert m.time(*gone) == (2, 2, 2, 2)
        assert m.queue_tick == 7

    asyncio.run(main())


def test_file_processing() -> None:
    """The double pattern, Doing and Done, three times in a row."""
    m = Machine(
        {
            "DownloadingFile": {"remove": ["FileDownloaded"]},
            "FileDownloaded": {"remove": ["DownloadingFile"]},
            "ProcessingFile": {"auto": True, "require": ["FileDownloaded"], "remove": ["FileProcessed"]},
            "FileProcessed": {"remove": ["ProcessingFile"]},
            "UploadingFile": {"auto": True, "require": ["FileProcessed"], "remove": ["FileUploaded"]},
            "FileUploaded": {"remove": ["UploadingFile"]},
        }
    )
    for state in ("DownloadingFile", "FileDownloaded", "FileProcessed", "FileUploaded"):
        m.add(state)
    assert str(m) == "(FileDownloaded:1 FileProcessed:1 FileUploaded:1)"
    assert m.time("DownloadingFile", "ProcessingFile", "UploadingFile") == (2, 2, 2)
