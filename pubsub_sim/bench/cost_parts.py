"""The command `cost-parts`: what the bytecodes of a message are spent on, counted exactly, in each version.

Counted are the bytecodes that Python executes in TestSimpleDiscovery's message phase, unsigned and in memory, on the virtual
clock: equal on every machine, and free of noise. What a machine executes is counted for that machine, whichever function
of the library executes it; what is not a function of Python (the network's bytes, memory, the collector) is not counted.
Bytecodes are no time: one takes 2 to 20 ns. The order of the parts is that of their times, and the sums agree roughly.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pubsub_sim.bench.machine import check_hosts
from pubsub_sim.checks import check_whole
from pubsub_sim.flags import from_flags
from pubsub_sim.parameters import several
from pubsub_sim.scenarios.play import play
from pubsub_sim.scenarios.simple_discovery import SimpleDiscovery
from pubsub_sim.world.running import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

PHASE = "rand msgs"
"""Of a run, what is counted."""

FEW = 20
"""Messages of the run that is subtracted, so that only what each further message costs is left."""

_EVALS = ("Runtime.eval", "Runtime._make_ready", "Runtime._run", "Runtime._finish", "Machine.eval_soon", "EvalFuture")
_DRIVER_PARTS = {
    "pubsub_machine": "turns: wake, take what waits",
    "rpc_machine": "turns: wake, take what waits",
    "pubsub_loop": "turns: wake, take what waits",
    "direct_calls": "turns: wake, take what waits",
    "pubsub_handlers": "handlers of the host",
    "discovery_machine": "discovery: driver and handlers",
    "discovery_loop": "discovery: driver and handlers",
    "bootstrap_machine": "flow: driver and handlers",
    "bootstrap_loop": "flow: driver and handlers",
}
PARTS = (
    "host machine: mutations",
    "host machine: evals",
    "discovery machine: mutations and waits",
    "flow machine: mutations, reset",
    *dict.fromkeys(_DRIVER_PARTS.values()),
    "event loop",
    "node, protocol, wire, network",
)
"""What a message is spent on, in the order they are printed."""


@dataclass(frozen=True, kw_only=True)
class CostPartsOptions:
    """Which runs are counted. Where several values can stand, one value, a list or a text with commas will do.

    Attributes:
        versions: which control flows; the differences are to the first.
        hosts: number of hosts.
        messages: messages of a run, more than 20.
        seed: of the runs.

    Raises:
        OptionError: a value that cannot be used; the sentence names it.
    """

    versions: tuple[str, ...] = ("baseline", "states")
    hosts: int = 5
    messages: int = 70
    seed: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "versions", several("versions", self.versions))
        check_hosts(check_whole("hosts", self.hosts, at_least=2), runs=1)
        check_whole("messages", self.messages, at_least=FEW + 1)
        check_whole("seed", self.seed, at_least=0)
        for version in self.versions:
            self.scenario(version, FEW)

    def scenario(self, version: str, messages: int) -> SimpleDiscovery:
        """What is played."""
        return SimpleDiscovery(version=version, hosts=self.hosts, messages=messages, sign="none", seed=self.seed)


@dataclass
class _Count:
    """Counts bytecodes by part, as a trace function."""

    bytecodes: Counter[str] = field(default_factory=Counter)
    parts: dict[FrameType, str] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count in the phase that is asked for, and in no other."""
        if name != PHASE:
            yield
            return
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            above = frame.f_back
            self.parts[frame] = _part_of(frame, self.parts.get(above, "") if above is not None else "")
        elif event == "opcode":
            self.bytecodes[self.parts[frame]] += 1
        elif event == "return":
            self.parts.pop(frame, None)  # a coroutine is met again by a call
        return self._trace


def _part_of(frame: FrameType, above: str) -> str:
    """Tell what a function is executed for; `above` is what its caller is executed for."""
    module: str = frame.f_globals.get("__name__", "")
    package, _, last = module.partition(".")
    if package == "asyncmachine":
        return _part_of_machine(frame, above)
    if module.startswith("pubsub_sim.drivers."):
        is_handler = frame.f_code.co_qualname.startswith("RpcHandlers.")  # they share a module with the turns
        return _DRIVER_PARTS.get("pubsub_handlers" if is_handler else last.rpartition(".")[2], PARTS[-1])
    if package == "asyncio" or module == "pubsub_sim.net.virtual":
        return "event loop"
    return PARTS[-1]


def _part_of_machine(frame: FrameType, above: str) -> str:
    one = frame.f_locals.get("self")
    machine = one if hasattr(one, "queue_limit") else getattr(one, "machine", None) or frame.f_locals.get("machine")
    if not hasattr(machine, "queue_limit"):
        return above if above.partition(":")[0].endswith("machine") else PARTS[0]
    name: str = getattr(machine, "id", "")
    if "-bf-" in name or not name:  # a flow without a name waits to be used again
        return "flow machine: mutations, reset"
    if name.endswith("-disc"):
        return "discovery machine: mutations and waits"
    is_eval = frame.f_code.co_qualname.startswith(_EVALS)
    return "host machine: evals" if is_eval else "host machine: mutations"


def count_parts(options: CostPartsOptions, version: str) -> Mapping[str, float]:
    """Count the bytecodes of a message.

    Args:
        options: which runs.
        version: which control flow.

    Returns:
        For each of `PARTS` the bytecodes that each message after the first `FEW` takes.
    """
    few, many = (_count(options.scenario(version, messages), options.seed) for messages in (FEW, options.messages))
    return {part: (many[part] - few[part]) / (options.messages - FEW) for part in PARTS}


def _count(scenario: SimpleDiscovery, seed: int) -> Counter[str]:
    count = _Count()
    run(play(scenario, count.phase), clock="virtual", seed=seed)
    return count.bytecodes


def cost_parts_command(arguments: Sequence[str]) -> int:
    """Count, and print a table.

    Returns:
        0.

    Raises:
        PubsubSimError: a flag or a value that cannot be used.
    """
    summary = "Count what the bytecodes of a message are spent on, in each version."
    options: CostPartsOptions = from_flags(CostPartsOptions, "cost-parts", summary, arguments)
    sys.stdout.write(table({version: count_parts(options, version) for version in options.versions}) + "\n")
    return 0


def table(counts: Mapping[str, Mapping[str, float]]) -> str:
    """Bytecodes of a message by part, a column per version, and how many more than those of the first version.

    Args:
        counts: for each version the bytecodes by part.
    """
    base = next(iter(counts.values()))
    lines = [f"{'bytecodes a message':<40}" + "".join(f"{version:>24}" for version in counts)]
    lines += [
        f"{part:<40}" + "".join(_cell(one[part], one[part] - base[part]) for one in counts.values())
        for part in PARTS
        if any(one[part] for one in counts.values())
    ]
    sums = [sum(one.values()) for one in counts.values()]
    lines.append(f"{'all':<40}" + "".join(_cell(whole, whole - sums[0]) for whole in sums))
    return "\n".join(lines)


def _cell(value: float, more: float) -> str:
    return f"{value:,.0f} ({more:+,.0f})".rjust(24)
