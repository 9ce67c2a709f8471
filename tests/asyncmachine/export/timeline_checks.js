// Reads a page's data, asks timeline.js about them and prints the answers as JSON: node timeline_checks.js timeline.js data
"use strict";
const fs = require("node:fs");
const timeline = require(fs.realpathSync(process.argv[2]));

(async () => {
  const model = await timeline.decode(fs.readFileSync(process.argv[3], "utf-8"));
  const xs = timeline.axis(model, "order");
  const from = Math.min(...xs) - 1, to = Math.max(...xs) + 1;
  const lanes = model.lanes.map((lane) => ({
    fine: timeline.bars(model, xs, lane.number, from, to, 1e-9).map(([, , first, amount]) => [first, amount]),
    coarse: timeline.bars(model, xs, lane.number, from, to, (to - from) / 20).map(([, , , amount]) => amount),
    none: timeline.bars(model, xs, lane.number, to + 1, to + 2, 1).length,
    marks: timeline.marks(model, xs, lane.number, from, to, 1e-9).map(([, , first]) => model.columns.mark_event[first]),
    merged: timeline.marks(model, xs, lane.number, from, to, (to - from) / 20).map(([, , , amount]) => amount),
    seen: timeline.bars(model, xs, lane.number, (from + to) / 2, (from + to) / 2 + 1, 1e-9).map(([, , first]) => first),
  }));
  const found = model.lanes.map((lane) => {
    const c = model.columns;
    const marks = Array.from(c.mark_event.slice(c.mark_from[lane.number], c.mark_from[lane.number + 1]));
    return marks.every((event) => timeline.at(model, xs, lane.number, xs[event] + 0.1, 0.3).event === event);
  });
  const described = Array.from(model.columns.tx_event, (event) => timeline.describe(model, event));
  const points = Array.from(model.columns.point_event, (event) => timeline.describe(model, event));
  const effects = Array.from(model.columns.tx_event, (event) => model.effects.get(event) ?? []);
  process.stdout.write(JSON.stringify({
    columns: Object.fromEntries(Object.entries(model.columns).map(([name, column]) => [name, Array.from(column)])),
    lanes, found, described, points, effects, middle: [(from + to) / 2, (from + to) / 2 + 1],
  }));
})();
