"""Drives the page of a timeline in Chromium and prints what is seen as JSON: drive_timeline.py CHROMIUM FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

PLACE = """label => {
  const { model, xs, plot } = page.state();
  const lane = model.lanes.find((one) => one.label === label && one.kind === "machine"), c = model.columns;
  const x = xs[c.mark_event[c.mark_from[lane.number]]], { start, end } = plot.x_range;
  const box = document.getElementById("plot").getBoundingClientRect();
  return [box.left + (box.width - 14) * (x - start) / (end - start), box.top + 34 + 18 * (lane.row + 0.5)];
}"""
RANGE = "[page.state().plot.x_range.start, page.state().plot.x_range.end]"
NAMES = "Array.from(document.querySelectorAll('#names .name span:last-child'), (one) => one.textContent)"
COLOURS = """() => {
  const seen = new Set(), walk = (node) => {
    for (const one of node.querySelectorAll("*")) { if (one.shadowRoot) walk(one.shadowRoot); if (one.tagName === "CANVAS") {
      const { data } = one.getContext("2d").getImageData(0, 0, one.width, one.height);
      for (let i = 0; i < data.length; i += 4) seen.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]); } }
  };
  walk(document);
  return seen.size;
}"""


def drive(page: Any, machine: str) -> dict[str, Any]:
    """Point, click, zoom, open and close."""
    found: dict[str, Any] = {"range": page.evaluate(RANGE), "names": page.evaluate(NAMES)}
    for name in ("bars", "marks"):
        found[name] = page.evaluate(f"page.state().drawn.{name}.get_length()")
    found["colours"] = page.evaluate(COLOURS)
    page.click("#axis button[value=order]")
    settle(page)
    found["order"] = page.evaluate(RANGE)
    x, y = page.evaluate(PLACE, machine)
    page.mouse.move(x, y)
    page.wait_for_selector("#tip:not([hidden])")
    found["tip"] = page.inner_text("#tip")
    page.mouse.click(x, y)
    page.wait_for_selector("#details h2")
    found["details"] = page.inner_text("#details")
    page.click("#details section:has(h3:text('Caused')) button:has-text('On')")
    found["effect"] = page.inner_text("#details")
    page.mouse.move(x, 45)  # above all lanes
    page.wait_for_selector("#tip", state="hidden")
    found["tip beside"] = page.inner_text("#tip") if page.is_visible("#tip") else ""
    page.click("#axis button[value=time]")
    page.click("#all")
    settle(page)
    found["time"] = page.evaluate(RANGE)
    zoom(page, found, y)
    page.click(f"#names .machine >> text={json.dumps(machine)} >> nth=0")
    settle(page)
    found["closed"] = page.evaluate(NAMES)
    page.click(f"#names .machine >> text={json.dumps(machine)} >> nth=0")
    settle(page)
    found["reopened"] = page.evaluate(NAMES)
    return found


def zoom(page: Any, found: dict[str, Any], y: float) -> None:
    """Zoom in by wheel and button, and out."""
    box = page.locator("#plot").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, y)
    for _ in range(4):
        page.mouse.wheel(0, -120)
        settle(page)
    page.click("#in")
    settle(page)
    found["zoomed"] = page.evaluate(RANGE)
    for _ in range(12):
        page.click("#out")
    settle(page)
    found["out"] = page.evaluate(RANGE)


def settle(page: Any) -> None:
    """Wait until what was asked for has been drawn."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def watch(page: Any, seen: dict[str, Any]) -> None:
    """Note requests that leave the disk, errors of scripts, and dialogs."""

    def dismiss(dialog: Any) -> None:
        seen["dialogs"] += 1
        dialog.dismiss()

    page.on("request", lambda one: one.url.startswith("file:") or seen["requests"].append(one.url))
    page.on("pageerror", lambda error: seen["errors"].append(str(error)))
    page.on("dialog", dismiss)


def main(chromium: str, folder: Path) -> None:
    """Open both pages and print what is seen."""
    machine = "</script><script>alert(1)</script><b>&\"'"
    seen: dict[str, Any] = {"requests": [], "errors": [], "dialogs": 0}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1000, "height": 900}, offline=True)
        for name in ("page", "framed"):
            page = context.new_page()
            watch(page, seen)
            page.goto((folder / f"{name}.html").as_uri())
            frame = page.frames[-1]
            frame.wait_for_selector("body[data-ready]")
            if name == "page":
                settle(page)
                seen |= drive(page, machine)
            else:
                seen["framed"] = frame.evaluate("document.body.dataset.ready")
        browser.close()
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
