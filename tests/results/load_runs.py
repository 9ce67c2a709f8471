"""Records of runs under load, whose numbers follow a rule."""

from __future__ import annotations

from pathlib import Path

from pubsub_sim.results.load import LoadRecord, LoadRun, LoadStore
from tests.report.runs import PROVENANCE

COSTS = {"baseline": 1.0, "states": 1.6, "direct": 0.8, "lower-bound": 0.4}
"""Version to the milliseconds that a message takes, at saturation."""

PERCENTS = (25, 50, 75, 90)


def a_closed_loop(version: str, session: int, in_flight: int) -> LoadRecord:
    """Give a run that completes what its cost allows: half with one message in flight, all with more, in a second."""
    full = 1000 / COSTS[version] * (1 + 0.01 * (session % 3 - 1))
    each = round(full * (0.5 if in_flight == 1 else 1.0)) // 5
    numbers = {"sent": each * 5, "delivered": each * 25, "window_ns": 10**9, "peak_rss_bytes": (40 + session) << 20}
    numbers |= {"dropped_subscription": 0, "dropped_on_the_way": 0, "longest_queue": in_flight}
    numbers |= {"p50_ns": 10**6, "p99_ns": 10**7, "longest_backlog": 1, "most_in_flight": 5 * in_flight}
    return LoadRecord(
        run=LoadRun(version=version, session=session, in_flight=in_flight, sign="none", seed=session),
        outcome="ok",
        numbers=numbers,
        offered_by=(each,) * 5,
        completed_by=(each,) * 5,
        provenance=PROVENANCE,
    )


def an_open_loop(version: str, session: int, percent: int, *, dropped: int = 0) -> LoadRecord:
    """Give a run whose latencies are those of a queue with one server: cost / (1 - load), ten times that at p99."""
    rate = 1000 / COSTS[version] * percent / 100
    each = round(rate / 5)
    p50_ns = round(COSTS[version] * 1e6 / (1 - percent / 100) * (1 + 0.01 * (session % 3 - 1)))
    numbers = {"sent": each * 5, "delivered": each * 25 - dropped, "window_ns": 10**9, "p50_ns": p50_ns}
    numbers |= {"p99_ns": 10 * p50_ns, "dropped_subscription": dropped, "dropped_on_the_way": 0}
    numbers |= {"longest_queue": percent // 10, "longest_backlog": 3, "most_in_flight": 9, "peak_rss_bytes": 40 << 20}
    return LoadRecord(
        run=LoadRun(version=version, session=session, percent=percent, rate=rate, sign="none", seed=session),
        outcome="ok",
        numbers=numbers,
        offered_by=(each,) * 5,
        completed_by=(each,) * 5,
        provenance=PROVENANCE,
    )


def a_load(sessions: int = 3, versions: tuple[str, ...] = tuple(COSTS)) -> list[LoadRecord]:
    """Give all runs of a sweep."""
    return [
        record
        for session in range(1, sessions + 1)
        for version in versions
        for record in (
            *(a_closed_loop(version, session, step) for step in (1, 2, 4, 8)),
            *(an_open_loop(version, session, percent) for percent in PERCENTS),
        )
    ]


def write_load(sweep: Path, sessions: int = 3) -> Path:
    """Store them below a sweep's folder, which is given back."""
    store = LoadStore(sweep)
    for record in a_load(sessions):
        store.write(record)
    return sweep
