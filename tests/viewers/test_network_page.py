"""The page of networks, opened in Chromium: its slider works without a kernel."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pubsub_sim.simulator.network_page import NetworkView
from pubsub_sim.simulator.snapshots import Links

pytestmark = pytest.mark.viewers

NETWORKS = (
    Links(0.0, ("sim-p0",), frozenset(), {}),
    Links(5.0, ("sim-p0", "sim-p1"), frozenset({("sim-p0", "sim-p1")}), {"t-a-0": frozenset({("sim-p0", "sim-p1")})}),
)
_MOVE = """
.then(() => {
  const found = Bokeh.documents[0], slider = found.get_model_by_name("moment");
  const titles = () => [...found._all_models.values()].filter((one) => one.type === "Title").map((one) => one.text).join("|");
  document.body.dataset.before = titles();
  slider.value = 6;
  setTimeout(() => { document.body.dataset.after = titles(); }, 1000);  // virtual time: Bokeh calls scripts a turn later
});
"""


def test_the_slider_shows_another_moment(tmp_path: Path) -> None:
    """Moved by a script as a hand would, each run shows its network of the new moment, and the mesh that is largest there."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on the PATH")
    page = tmp_path / "network.html"
    html = NetworkView({"states": NETWORKS, "baseline": NETWORKS}, 0).html()
    start, sign, end = html.rpartition('.then(() => { document.body.dataset.ready = "yes"; });')
    assert sign
    page.write_text(start + _MOVE + end)
    words = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=8000",
        "--dump-dom",
        page.as_uri(),
    ]
    dom = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout
    assert 'data-before="states: 0 s, 1 peers, 0 connections|baseline: 0 s, 1 peers, 0 connections"' in dom
    after = "5 s, 2 peers, 1 connections, mesh of t-a-0"
    assert f'data-after="states: {after}|baseline: {after}"' in dom
