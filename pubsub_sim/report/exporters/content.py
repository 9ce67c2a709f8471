"""The cells and the representations of an output that a report shows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from traitlets.config import Config

TEMPLATES = Path(__file__).parent / "templates"
"""Template folders of the exporters, one per exporter."""

LEFT_OUT_TAGS = frozenset({"remove-cell", "parameters", "injected-parameters"})
"""Cells with one of these tags are for whoever runs the notebook, not for whoever reads the report."""


def report_config(base: Config, *, shown: Iterable[str]) -> Config:
    """Say what nbconvert shall keep of a notebook.

    Args:
        base: default configuration of the exporter that is extended.
        shown: MIME types, best first; of each output the first one it has is shown.

    Returns:
        A new configuration; `base` stays as it was.
    """
    config = Config()
    config.merge(base)
    config.merge(
        Config(
            {
                "NbConvertBase": {"display_data_priority": list(shown)},
                "TagRemovePreprocessor": {
                    "enabled": True,
                    "remove_cell_tags": set(LEFT_OUT_TAGS),
                    "remove_input_tags": {"hide-input", "remove-input"},
                    "remove_all_outputs_tags": {"remove-output"},
                },
            }
        )
    )
    return config
