"""Options of the commands `play` and `discovery`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from asyncmachine.record.format import LEVELS
from pubsub_sim.checks import check_bool, check_choice
from pubsub_sim.drivers.versions import check_version
from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.parameters import several
from pubsub_sim.places import data_folder
from pubsub_sim.recording.scenarios import SCENARIOS

CLOCKS = ("wall", "virtual")


@dataclass(frozen=True, kw_only=True)
class PlayOptions:
    """One run to inspect.

    Attributes:
        scenario: the scenario, "simple_discovery" or "one_message".
        version: version of the control flow, such as "baseline" or "states".
        hosts: number of hosts; at least 2.
        messages: random messages in total, after the first; simple_discovery only.
        router: "floodsub", "randomsub" or "gossipsub"; simple_discovery only.
        transport: "memory", or "tcp" or "libp2p" (loopback sockets, on wall time); simple_discovery only.
        sign: "strict" signs and verifies every message, "none" does not.
        seed: for keys, choices and the order of publishers.
        clock: "wall", or "virtual": computation takes no time, and runs are reproducible by seed.
        record: file of the record, replacing an existing one; "" keeps none.
        level: recording level: "changes" (transitions), "ops" (also the queue, handlers and every message and RPC) or
            "full" (also steps, waits and contents).
        log: whether to record the log lines of machines.
        otlp: a collector that receives the run at its end, such as http://localhost:4318; "" for none.
        am_dbg: an am-dbg debugger that receives the machines live, such as localhost:6831; "" for none.

    Raises:
        OptionError: an invalid value.
    """

    scenario: str = "simple_discovery"
    version: str = "states"
    hosts: int = 3
    messages: int = 10
    router: str = "floodsub"
    transport: str = "memory"
    sign: str = "strict"
    seed: int = 1
    clock: str = "wall"
    record: str = ""
    level: str = "full"
    log: bool = False
    otlp: str = ""
    am_dbg: str = ""

    def __post_init__(self) -> None:
        check_choice("scenario", self.scenario, SCENARIOS)
        check_version(self.version)
        check_choice("clock", self.clock, CLOCKS)
        scenario = SCENARIOS[self.scenario]
        for entry in fields(self):
            if entry.name in scenario.ignored and getattr(self, entry.name) != entry.default:
                raise OptionConflict(
                    entry.name, getattr(self, entry.name), "scenario", self.scenario, "the scenario has no such option"
                )
        scenario.check(self)
        if self.transport != "memory" and self.clock == "virtual":
            raise OptionConflict("transport", self.transport, "clock", "virtual", "sockets need the wall clock")
        check_choice("level", self.level, LEVELS)
        check_bool("log", self.log)
        _check_record(self.record)
        _check_endpoint(self.otlp)
        _check_address(self.am_dbg)


@dataclass(frozen=True, kw_only=True)
class DiscoveryOptions:
    """Runs of TestSimpleDiscovery to inspect, one for each version.

    Attributes:
        versions: versions of the control flow; one, a list or a comma-separated string.
        hosts: number of hosts; at least 2.
        messages: random messages in total, after the first; at least 1.
        seed: for keys, choices and the order of publishers.
        out: folder of the runs, with one folder for each version; a relative one is in the clone's data, or outside a
            clone in the current folder.

    Raises:
        OptionError: an invalid value.
    """

    versions: tuple[str, ...] = ("states", "baseline")
    hosts: int = 3
    messages: int = 10
    seed: int = 1
    out: str = "runs"

    def __post_init__(self) -> None:
        object.__setattr__(self, "versions", several("versions", self.versions))
        for version in self.versions:
            self.run_of(version)
        _ = self.folder

    def run_of(self, version: str) -> PlayOptions:
        """Return the run of a version."""
        return PlayOptions(version=version, hosts=self.hosts, messages=self.messages, seed=self.seed)

    @property
    def folder(self) -> Path:
        """The folder of the runs.

        Raises:
            OptionError: it is not the name of a folder.
        """
        if not isinstance(self.out, str) or not self.out.strip():
            raise OptionError("out", self.out, "the name of a folder")
        folder = Path(self.out).expanduser()
        if folder.is_absolute():
            return folder
        return data_folder() / folder


def _check_record(value: object) -> None:
    if not isinstance(value, str):
        raise OptionError("record", value, "the name of a file, or an empty text")


def _check_endpoint(value: object) -> None:
    parts = urlsplit(value) if isinstance(value, str) else None
    if value and (parts is None or parts.scheme not in ("http", "https", "grpc") or not parts.netloc):
        raise OptionError("otlp", value, "an address such as http://localhost:4318")


def _check_address(value: object) -> None:
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if value != "" and not (host and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise OptionError("am_dbg", value, "an address such as localhost:6831")
