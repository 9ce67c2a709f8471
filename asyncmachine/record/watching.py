"""Recording of transition details from level "ops" on: queue, handlers, arguments, errors; at "full" also steps and waits."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from asyncmachine.record.steps import Steps
from asyncmachine.record.writer import plain_text, to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncmachine._asyncio import StateContext, Task
    from asyncmachine.machine import Machine, Transition
    from asyncmachine.mutation import Mutation
    from asyncmachine.plans import Configuration, Plan
    from asyncmachine.record.recorder import Recorder
    from asyncmachine.record.writer import RecordWriter

_ERROR_LENGTH = 200
_CALLED_LIMIT = 20_000


class Open:
    """A running transition."""

    __slots__ = ("handlers", "logs", "node", "plan", "queue", "start_ns", "tx")

    def __init__(self, tx: Transition, start_ns: int) -> None:
        self.tx = tx
        self.start_ns = start_ns
        self.queue = tx.machine.queue_len
        self.node: Configuration = tx.machine._configuration
        self.plan: Plan = tx._plan
        self.handlers: list[list[Any]] = []
        self.logs: list[tuple[Any, ...]] = []


class Watching:
    """Records transitions from their start.

    Args:
        recorder: The recorder of the machines.
        is_full: Whether to record steps, waits, contexts, tasks and pipes.
    """

    def __init__(self, recorder: Recorder, *, is_full: bool) -> None:
        self._recorder = recorder
        self._is_full = is_full
        self._steps = Steps()
        self._open: list[Open] = []
        self._operations: list[tuple[Any, ...]] = []
        self._handlers: list[tuple[Any, ...]] = []
        self._queued: list[tuple[Any, ...]] = []
        self._waits: list[tuple[Any, ...]] = []
        self._called: dict[tuple[str, ...], str] = {}
        self._ids = {"handlers": count(1), "queued": count(1), "waits": count(1)}

    def hooks(self, keep: Callable[..., None]) -> dict[str, Callable[..., None]]:
        """Return the tracer hooks of this level; `keep` records the facts of the transition itself."""

        def transition_end(tx: Transition) -> None:
            self._close(tx)
            keep(tx.machine, tx._plan, tx._queued, tx)

        transition_end.__self__ = self._recorder  # type: ignore[attr-defined]  # its errors are counted for the recorder
        found: dict[str, Callable[..., None]] = {
            "transition_init": self._begin,
            "transition_end": transition_end,
            "mutation_queued": self._queue,
            "handler_start": self._start_handler,
            "handler_end": self._end_handler,
        }
        if self._is_full:
            found |= {
                "subscription_new": lambda machine, text: self._wait(machine, "new", text),
                "subscription_match": lambda machine, text: self._wait(machine, "match", text),
                "state_ctx_new": lambda machine, ctx: self._wait(machine, "context", _named(ctx)),
                "state_ctx_end": lambda machine, ctx: self._wait(machine, "context ends", _named(ctx)),
                "task_fork": self._fork,
                "pipe_add": self._pipe,
            }
        return found

    def open_of(self, machine: Machine) -> Open | None:
        """Return the running transition of a machine if it is the innermost one."""
        if self._open and self._open[-1].tx.machine is machine:
            return self._open[-1]
        return None

    # hooks

    def _begin(self, tx: Transition) -> None:
        self._open.append(Open(tx, self._recorder._now()))

    def _close(self, tx: Transition) -> None:
        """Buffer the details of a transition that ends, unless it began before the recorder was bound."""
        while self._open:
            begun = self._open.pop()
            if begun.tx is tx:
                break
        else:
            return
        recorder, machine = self._recorder, tx.machine
        seq = recorder.next_seq
        args = tx._queued[2]
        picked = machine.log_args(args) if args else None
        error = args.get("error") if args else None
        if error is None and tx.canceled_by == "error":
            error = machine.err
        steps = None
        if self._is_full:
            ran = tuple([handler[0] for handler in begun.handlers])
            steps = self._steps.text(tx, begun.node, begun.plan, ran)
        self._operations.append((
            seq, begun.start_ns, begun.queue, to_json(picked) if picked else None,
            error_text(error) if isinstance(error, BaseException) else None, steps,
        ))  # fmt: skip
        ids = self._ids["handlers"]
        self._handlers += [(next(ids), seq, *handler) for handler in begun.handlers]
        if begun.logs:
            recorder.note_logs(begun.logs, seq)

    def _start_handler(self, tx: Transition, binding: str, name: str) -> None:
        begun = self.open_of(tx.machine)
        if begun is not None:
            now = self._recorder._now()
            begun.handlers.append([name, binding, now, now])

    def _end_handler(self, tx: Transition, binding: str, name: str) -> None:
        begun = self.open_of(tx.machine)
        if begun is not None and begun.handlers:
            begun.handlers[-1][3] = self._recorder._now()

    def _queue(self, machine: Machine, mutation: Mutation) -> None:
        recorder = self._recorder
        recorder._note_row()
        picked = machine.log_args(mutation.args) if mutation.args else None
        source = mutation._queued[3]
        called = self._called.get(mutation.called)
        if called is None:
            if len(self._called) >= _CALLED_LIMIT:
                self._called.clear()
            called = self._called[mutation.called] = to_json(mutation.called)
        self._queued.append((
            next(self._ids["queued"]), recorder._now(), recorder._loop_now(), recorder._machines.number_of(machine), mutation._queued[4],
            recorder.next_seq, mutation.kind, called, int(mutation.is_auto), int(mutation.is_check),
            machine.queue_len, to_json(picked) if picked else None,
            None if source is None else recorder._machines.source_number(source[0]), None if source is None else source[1],
        ))  # fmt: skip

    def _wait(self, machine: Machine, kind: str, text: str) -> None:
        recorder = self._recorder
        recorder._note_row()
        self._waits.append((
            next(self._ids["waits"]), recorder._now(), recorder._loop_now(), recorder._machines.number_of(machine), recorder.next_seq,
            kind, plain_text(text),
        ))  # fmt: skip

    def _fork(self, machine: Machine, task: Task[Any], state: str | None) -> None:
        self._wait(machine, "task", state or "")

    def _pipe(self, machine: Machine, state: str, target: Machine, target_state: str) -> None:
        self._wait(machine, "pipe", f"{state} to {target.id} {target_state}")

    # writing

    def write(self, writer: RecordWriter) -> None:
        """Write the buffered rows."""
        operations, self._operations = self._operations, []
        handlers, self._handlers = self._handlers, []
        queued, self._queued = self._queued, []
        waits, self._waits = self._waits, []
        if self._is_full:
            operations = [(*row[:5], writer.steps_id(row[5])) for row in operations]
        writer.insert("operations", ("seq", "start_ns", "queue", "args", "error", "steps"), operations)
        writer.insert("handlers", ("id", "seq", "name", "binding", "start_ns", "end_ns"), handlers)
        writer.insert("queued", _QUEUED, queued)
        writer.insert("waits", ("id", "time_ns", "loop_ns", "machine", "seq", "kind", "text"), waits)


_QUEUED = (
    "id", "time_ns", "loop_ns", "machine", "number", "seq", "kind", "called", "is_auto", "is_check", "queue", "args",
    "source_machine", "source_number",
)  # fmt: skip


def _named(ctx: StateContext) -> str:
    return f"{ctx.state} {ctx.tick}"


def error_text(error: BaseException) -> str:
    """Return an error as in a machine's log line: its class and message, truncated to a line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return plain_text(text if len(text) <= _ERROR_LENGTH else text[: _ERROR_LENGTH - 3] + "...")
