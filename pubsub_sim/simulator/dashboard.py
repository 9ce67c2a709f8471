"""The Grafana dashboard of the metrics, generated so that panels refer only to existing metrics."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pubsub_sim.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

Panel = tuple[str, str, tuple[tuple[str, str], ...]]

_RATE = "[$__rate_interval]"
_KIND = '{kind=~"$kind"}'

NETWORK: tuple[Panel, ...] = (
    (
        "Peers",
        "short",
        (
            ("pubsub_sim_peers", "peers"),
            ("pubsub_sim_peers_with_topics", "in topics"),
            ("pubsub_sim_friendships", "friendships"),
        ),
    ),
    ("Topics", "short", (("pubsub_sim_topics", "topics"), ("pubsub_sim_peers_per_topic", "peers per topic"))),
    (
        "Topics by state",
        "short",
        tuple((f"pubsub_sim_topics_{state}", state) for state in ("stale", "has_peers", "active", "peaking")),
    ),
    (
        "Connections and meshes",
        "short",
        (("pubsub_sim_connections", "connections"), ("pubsub_sim_mesh_degree_mean", "mesh degree")),
    ),
    (
        "Messages a second",
        "short",
        (
            (f"rate(pubsub_sim_messages_delivered_total{_RATE})", "delivered"),
            (f"rate(pubsub_sim_messages_owed_total{_RATE})", "owed"),
            (f"rate(pubsub_sim_message_copies_total{_RATE})", "copies"),
        ),
    ),
    ("Missed", "short", (("pubsub_sim_messages_missed_total", "{{reason}}"),)),
    (
        "Delivery latency",
        "s",
        tuple(
            (
                f"histogram_quantile({q}, sum by (le) (rate(pubsub_sim_delivery_latency_seconds_bucket{_RATE})))",
                f"quantile {q}",
            )
            for q in (0.5, 0.95)
        ),
    ),
)
MACHINES: tuple[Panel, ...] = (
    (
        "Transitions a second",
        "short",
        ((f"sum by (kind, result) (rate(asyncmachine_transitions_total{_KIND}{_RATE}))", "{{kind}} {{result}}"),),
    ),
    (
        "Transition time",
        "s",
        (
            (
                f"histogram_quantile(0.95, sum by (le, kind) (rate(asyncmachine_transition_seconds_bucket{_KIND}{_RATE})))",
                "{{kind}}",
            ),
        ),
    ),
    (
        "Handler time",
        "s",
        (
            (
                f"topk(10, sum by (kind, handler) (rate(asyncmachine_handler_seconds_sum{_KIND}{_RATE})))",
                "{{kind}} {{handler}}",
            ),
        ),
    ),
    (
        "Queue",
        "short",
        (
            (f"asyncmachine_queue_length{_KIND}", "{{kind}} waiting"),
            (
                f"sum by (kind) (rate(asyncmachine_queue_wait_seconds_count{_KIND}{_RATE}))",
                "{{kind}} queued a second",
            ),
        ),
    ),
    ("Active states", "short", ((f"asyncmachine_state_active{_KIND}", "{{kind}} {{state}}"),)),
    (
        "Activations a second",
        "short",
        ((f"sum by (kind, state) (rate(asyncmachine_state_activations_total{_KIND}{_RATE}))", "{{kind}} {{state}}"),),
    ),
    ("Exceptions", "short", ((f"asyncmachine_exceptions_total{_KIND}", "{{kind}} {{error}}"),)),
    (
        "Schemas",
        "short",
        (
            (f"asyncmachine_states{_KIND}", "{{kind}} states"),
            (f"asyncmachine_relations{_KIND}", "{{kind}} relations"),
        ),
    ),
    (
        "Loop lag and lost rows",
        "short",
        (("asyncmachine_loop_lag_seconds", "lag"), ("asyncmachine_dropped_rows_total", "lost rows")),
    ),
)


def expressions() -> list[str]:
    """Return all expressions of the dashboard."""
    return [expression for _, _, targets in (*NETWORK, *MACHINES) for expression, _ in targets]


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana's JSON: two columns of panels, and a variable for the kinds of machines."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row, row_panels in (("Simulator", NETWORK), ("Machines: $kind", MACHINES)):
        panels.append(
            {"type": "row", "title": row, "id": len(panels) + 1, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}}
        )
        y += 1
        for number, panel in enumerate(row_panels):
            place = {"x": number % 2 * 12, "y": y + number // 2 * 8, "w": 12, "h": 8}
            panels.append(_panel(len(panels) + 1, panel, place))
        y += (len(row_panels) + 1) // 2 * 8
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "title": "pubsub_sim simulator",
        "uid": "pubsub-sim-simulator",
        "schemaVersion": 39,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "tags": ["pubsub_sim"],
        "templating": {
            "list": [
                {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"},
                {
                    "name": "kind",
                    "label": "Machines",
                    "type": "query",
                    "datasource": source,
                    "query": "label_values(asyncmachine_states, kind)",
                    "refresh": 2,
                    "multi": True,
                    "includeAll": True,
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": panels,
    }


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    title, unit, targets = panel
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "gridPos": place,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "interval": "5s",
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [
            {"refId": chr(65 + index), "expr": expression, "legendFormat": legend}
            for index, (expression, legend) in enumerate(targets)
        ],
    }


def dashboard_text() -> str:
    """Return the dashboard as the text of its file."""
    return json.dumps(dashboard(), indent=1, sort_keys=True) + "\n"


def dashboard_command(arguments: Sequence[str]) -> int:
    """Print the dashboard, or write it to the given file.

    Raises:
        OptionError: more than one argument, or a file that cannot be written.
    """
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        raise OptionError("dashboard", list(arguments), "nothing, or the name of one file")
    if not arguments:
        sys.stdout.write(dashboard_text())
        return 0
    try:
        Path(arguments[0]).expanduser().write_text(dashboard_text(), encoding="utf-8")
    except OSError as error:
        raise OptionError("dashboard", arguments[0], f"a file that can be written ({error.strerror})") from error
    return 0
