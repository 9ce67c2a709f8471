"""The limit on the number of transitions in a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncmachine.record.writer import to_json

if TYPE_CHECKING:
    from asyncmachine.record.writer import RecordWriter

_TABLES = ("transitions", "operations", "handlers", "queued", "logs", "waits")


class Limit:
    """Drops the oldest transitions, keeping the machines' clocks at the cut as a keyframe.

    Args:
        limit: Number of transitions to keep.

    Attributes:
        dropped: Number of transitions dropped.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._clocks: dict[int, dict[str, int]] = {}
        self.dropped = 0

    def drop_oldest(self, writer: RecordWriter, written: int) -> None:
        """Drop the transitions beyond the limit.

        Args:
            writer: The record.
            written: Number of transitions written to it.
        """
        cut = written - self._limit
        if cut <= self.dropped:
            return
        moved = writer.execute(
            "select t.machine, s.key, sum(s.value) from transitions t join changes c on c.id = t.change, json_each(c.moved) s "
            "where t.seq <= ? group by t.machine, s.key",
            cut,
        )
        for machine, state, ticks in moved:
            if machine not in self._clocks:
                self._clocks[machine] = writer.start_clock(machine)
            clock = self._clocks[machine]
            clock[state] = clock.get(state, 0) + ticks
        for table in _TABLES:
            writer.execute(f"delete from {table} where seq <= ?", cut)
        for machine in {row[0] for row in moved}:
            writer.execute("delete from keyframes where machine = ? and seq <= ?", machine, cut)
            ticks = to_json([*self._clocks[machine].values()])
            writer.insert("keyframes", ("seq", "machine", "ticks"), [(cut, machine, ticks)])
        self.dropped = cut
        writer.set_run(dropped=cut)
