// The page of a timeline: names of lanes, what is drawn by Bokeh, tooltip, details. What it shows is worked out by timeline.js.
"use strict";
const page = (() => {
  const LANE = 18, FLOW_LANE = 34, AXIS = 34, DETAILS = 216, REACH = 5;
  const COLOURS = ["#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7B5EA7", "#8C6D31", "#3D8B8B"];
  const BAD = "#D55E00", INK = "#22303c", LIFE = "#dbe1e7", SPAN = "#9db2c6", LINK = "#111111", TICKS = 7;
  const el = (id) => document.getElementById(id);
  let ROW = LANE, instants = [];
  let model, xs, rows = [], plot, drawn, kind, chosen = null, whole, waiting = false, drawing = false;

  async function start(item) {
    model = await timeline.decode(el("data").textContent);
    if (model.flow) ROW = FLOW_LANE;
    document.documentElement.style.setProperty("--row", `${ROW}px`);
    await Bokeh.embed.embed_item(item);
    const found = (name) => Bokeh.documents[0].get_model_by_name(name);
    plot = found("plot");
    drawn = Object.fromEntries(["stripes", "bars", "marks", "dots", "bad", "links", "chosen", "ticks"].map((name) => [name, found(name)]));
    el("scroll").addEventListener("scroll", redraw);
    el("axis").addEventListener("click", (event) => event.target.value && useAxis(event.target.value));
    el("in").addEventListener("click", () => zoom(0.5));
    el("out").addEventListener("click", () => zoom(2));
    el("all").addEventListener("click", () => show(...whole));
    window.addEventListener("resize", reopened);
    useAxis(el("axis").dataset.start);
    reopened();
    legend();
    document.body.dataset.ready = "yes";
  }

  // Ticks of the range in sight: round numbers of seconds; in order, where the time moves on.
  function ticks(start, end) {
    if (kind === "time") {
      const rough = (end - start) / TICKS, power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].find((one) => one * power >= rough) * power;
      const first = Math.ceil(start / step);
      return Array.from({ length: Math.max(0, Math.floor(end / step) - first + 1) }, (_, i) => (first + i) * step);
    }
    const gap = (end - start) / (TICKS + 2), found = [];
    for (let i = timeline.after((k) => instants[k], start, 0, instants.length); i < instants.length && instants[i] <= end;) {
      found.push(instants[i]);
      i = timeline.after((k) => instants[k], instants[i] + gap, i, instants.length);
    }
    return found;
  }

  // Labels of ticks: the time there.
  function labels(ticks) {
    if (!xs) return ticks.map(() => "");
    const times = ticks.map((x) => kind === "time" ? x * 1e9 : timeline.timeAt(model, xs, x));
    const step = Math.min(...times.slice(1).map((time, i) => time - times[i]).filter((gap) => gap > 0), times.length > 1 ? 1e9 : 1e6);
    const digits = Math.max(0, Math.min(9, 9 - Math.floor(Math.log10(step) + 1e-9)));
    return times.map((time) => `${(time / 1e9).toFixed(digits)} s`);
  }

  function useAxis(name) {
    const before = xs && [plot.x_range.start, plot.x_range.end];
    const old = xs;
    kind = name;
    xs = timeline.axis(model, kind);
    for (const button of el("axis").querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === kind));
    const low = Math.min(...model.tracks.map((one) => xs[one.first])), high = Math.max(...model.tracks.map((one) => xs[one.last]));
    if (kind === "order") instants = timeline.instants(model, xs);
    const margin = (high - low || 1) * 0.015;
    whole = [low - margin, high + margin];
    plot.x_range.bounds = null;
    plot.x_range.min_interval = kind === "time" ? 1e-8 : 0.5;
    show(...(before ? same(old, before) : whole));
  }

  // The stretch of the new axis with the events that were seen on the old one.
  function same(old, [from, to]) {
    const seen = [];
    for (const track of model.tracks) {
      const low = timeline.after((i) => old[i], from, track.first, track.last + 1);
      const high = timeline.after((i) => old[i], to, track.first, track.last + 1) - 1;
      if (low <= high) seen.push(xs[low], xs[high]);
    }
    const [low, high] = [Math.min(...seen), Math.max(...seen)];
    const margin = (high - low) * 0.015;
    return seen.length && high > low ? [Math.max(low - margin, whole[0]), Math.min(high + margin, whole[1])] : whole;
  }

  function show(from, to) {
    plot.x_range.setv({ start: from, end: to });
    redraw();
  }

  function zoom(factor) {
    const { start, end } = plot.x_range;
    const middle = chosen !== null && xs[chosen] > start && xs[chosen] < end ? xs[chosen] : (start + end) / 2;
    show(Math.max(whole[0], middle - (middle - start) * factor), Math.min(whole[1], middle + (end - middle) * factor));
  }

  // Called when the range has changed: not beyond the run, then draw.
  function changed() {
    if (!whole || drawing) return;
    leave();
    const { start, end } = plot.x_range;
    const width = Math.min(end - start, whole[1] - whole[0]);
    const from = Math.min(Math.max(start, whole[0]), whole[1] - width);
    if (Math.abs(from - start) > width * 1e-9 || Math.abs(from + width - end) > width * 1e-9) {
      drawing = true;
      plot.x_range.setv({ start: from, end: from + width });
      drawing = false;
    }
    redraw();
  }

  function reopened() {
    rows = timeline.visible(model);
    rows.forEach((lane, place) => { lane.row = place; });
    const fitting = Math.max(6, Math.floor((window.innerHeight - el("head").offsetHeight - AXIS - DETAILS) / ROW));
    const seen = Math.min(fitting, Math.max(rows.length, 3));
    el("scroll").style.height = `${seen * ROW + AXIS}px`;
    el("sheet").style.height = `${rows.length * ROW + AXIS}px`;
    plot.frame_height = seen * ROW;
    redraw();
  }

  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  }

  function draw() {
    const top = el("scroll").scrollTop / ROW, seen = plot.frame_height / ROW;
    if (plot.y_range.end !== top || plot.y_range.start !== top + seen) plot.y_range.setv({ start: top + seen, end: top });
    const { start, end } = plot.x_range;
    const pixel = (end - start) / Math.max(200, el("plot").clientWidth);
    const shown = rows.slice(Math.floor(top), Math.ceil(top + seen));
    const bars = { left: [], right: [], top: [], bottom: [], color: [] };
    const marks = { x: [], y0: [], y1: [], color: [], width: [] };
    const bad = { x: [], y: [] }, dots = { x: [], y: [], color: [] };
    for (const lane of shown) {
      const marked = model.columns.mark_from[lane.number + 1] > model.columns.mark_from[lane.number];
      const thin = marked || lane.kind === "machine" ? 0.3 : 0.18;
      for (const [from, to] of timeline.bars(model, xs, lane.number, start, end, pixel)) {
        bars.left.push(Math.max(from, start - (end - start)));
        bars.right.push(Math.min(to, end + (end - start)));
        bars.top.push(lane.row + thin);
        bars.bottom.push(lane.row + 1 - thin);
        bars.color.push(lane.kind === "state" ? COLOURS[lane.state % COLOURS.length] : lane.kind === "machine" || marked ? LIFE : SPAN);
      }
      for (const [x, last, first, amount, worst] of timeline.marks(model, xs, lane.number, start, end, 1.5 * pixel)) {
        if (model.flow) {
          dots.x.push(x), dots.y.push(lane.row + 0.5), dots.color.push(colour(model.columns.mark_event[first]));
          continue;
        }
        marks.x.push((x + last) / 2);
        marks.y0.push(lane.row + (amount > 1 ? 0.08 : 0.2));
        marks.y1.push(lane.row + (amount > 1 ? 0.92 : 0.8));
        marks.color.push(worst >= 0 ? BAD : colour(model.columns.mark_event[first]));
        marks.width.push(amount > 1 ? 2 : 1.5);
        if (worst >= 0) bad.x.push(xs[model.columns.mark_event[worst]]), bad.y.push(lane.row + 0.2);
      }
    }
    drawn.ticks.ticks = ticks(start, end);
    el("unit").textContent = kind === "time" ? "seconds of the run"
      : `a step per event, ${timeline.moment(timeline.timeAt(model, xs, start))} to ${timeline.moment(timeline.timeAt(model, xs, end))}`;
    drawn.dots.data = dots;
    drawn.bars.data = bars;
    drawn.marks.data = marks;
    drawn.bad.data = bad;
    stripes(shown, start, end);
    drawLinks();
    names(top, shown);
  }

  function colour(event) {
    const c = model.columns;
    return c.event_kind[event] === timeline.POINT ? COLOURS[c.point_name[c.event_ref[event]] % COLOURS.length] : INK;
  }

  function stripes(shown, start, end) {
    const dark = shown.filter((lane) => lane.kind === "track" || lane.row % 2);
    drawn.stripes.data = {
      left: dark.map(() => start - (end - start)), right: dark.map(() => end + (end - start)),
      top: dark.map((lane) => lane.row), bottom: dark.map((lane) => lane.row + 1),
      color: dark.map((lane) => lane.kind === "track" ? "#e3e9ef" : "#f6f8fa"),
    };
  }

  // The row of an event: that of its lane, or of the nearest one above it that is in sight.
  function rowOf(event) {
    let lane = model.lanes[timeline.laneOf(model, event)];
    const path = [];
    for (let at = lane; at; at = model.lanes[at.parent]) path.unshift(at);
    for (const one of path) {
      lane = one;
      if (!one.open) break;
    }
    return lane ? lane.row + 0.5 : null;
  }

  function drawLinks() {
    const links = { x0: [], y0: [], x1: [], y1: [], color: [] };
    const spot = { x: [], y: [] };
    const all = chosen === null ? model.flow ? firstFlow() : [] : timeline.joined(model, chosen);
    for (const [from, to] of all) {
      const [y0, y1] = [rowOf(from), rowOf(to)];
      if (y0 === null || y1 === null) continue;
      links.x0.push(xs[from]), links.y0.push(y0), links.x1.push(xs[to]), links.y1.push(y1);
      links.color.push(to === chosen || model.flow ? LINK : from === chosen ? "#D55E00" : "#777777");
    }
    if (chosen !== null && rowOf(chosen) !== null) spot.x.push(xs[chosen]), spot.y.push(rowOf(chosen));
    drawn.links.data = links;
    drawn.chosen.data = spot;
  }

  const firstFlow = () => model.tracks.flatMap((track) => {
    for (let event = track.first; event < track.last; event++) {
      const pairs = timeline.joined(model, event);
      if (pairs.length) return pairs;
    }
    return [];
  });

  function names(top, shown) {
    const box = el("names");
    box.replaceChildren(...shown.map((lane) => {
      const line = document.createElement(lane.below.length ? "button" : "div");
      line.className = `name ${lane.kind}`;
      line.style.top = `${(lane.row - top) * ROW}px`;
      line.style.paddingLeft = `${6 + 13 * lane.depth}px`;
      line.title = lane.label;
      const sign = document.createElement("span");
      sign.className = "sign";
      sign.textContent = lane.below.length ? lane.open ? "▾" : "▸" : "";
      if (lane.kind === "state") sign.append(swatch(COLOURS[lane.state % COLOURS.length]));
      if (lane.kind === "points") sign.append(swatch(colour(model.columns.mark_event[model.columns.mark_from[lane.number]])));
      const text = document.createElement("span");
      text.textContent = lane.label;
      line.append(sign, text);
      if (lane.below.length) {
        line.setAttribute("aria-expanded", String(lane.open));
        line.addEventListener("click", () => { lane.open = !lane.open; reopened(); });
      }
      return line;
    }));
  }

  function swatch(color) {
    const box = document.createElement("i");
    box.style.background = color;
    return box;
  }

  function legend() {
    if (!model.flow) return;
    el("legend").replaceChildren(...model.names.map((text, number) => {
      const part = document.createElement("span");
      part.append(swatch(COLOURS[number % COLOURS.length]), text.replaceAll("_", " "));
      return part;
    }));
  }

  // What is under the pointer: its lane, and a mark or bar.
  function under({ x, y }) {
    const lane = rows[Math.floor(y)];
    const reach = REACH * (plot.x_range.end - plot.x_range.start) / Math.max(200, el("plot").clientWidth);
    const found = lane && timeline.at(model, xs, lane.number, x, reach);
    return found ? { lane, ...found } : null;
  }

  function move(event) {
    const found = under(event), tip = el("tip");
    tip.hidden = !found;
    if (!found) return;
    const lines = found.bar === undefined
      ? [timeline.name(model, found.event), timeline.moment(model.columns.event_time[found.event]),
        ...(found.amount > 1 ? [`and ${found.amount - 1} more within a pixel: zoom in to see each`] : [])]
      : [found.lane.kind === "state" ? `${model.machines[found.lane.machine].id}: ${found.lane.label}` : found.lane.label,
        ...timeline.describeBar(model, found.lane.number, found.bar, found.amount)];
    tip.replaceChildren(...lines.filter(Boolean).map(text("div")));
    const box = el("plot").getBoundingClientRect();
    const left = box.left + event.sx, width = tip.offsetWidth;
    tip.style.left = `${left + width + 24 > window.innerWidth ? Math.max(4, left - width - 12) : left + 12}px`;
    const below = box.top + event.sy + 14;
    tip.style.top = `${below + tip.offsetHeight > window.innerHeight ? below - tip.offsetHeight - 24 : below}px`;
  }

  const leave = () => { el("tip").hidden = true; };

  function tap(event) {
    const found = under(event);
    if (!found) return;
    const first = found.bar === undefined ? found.event : model.columns.bar_begin[found.bar];
    if (model.columns.event_ref[first] >= 0) choose(first);
    else about(found.lane, found.bar, found.amount);
  }

  function about(lane, bar, amount) {
    chosen = null;
    details(lane.label, [{ title: lane.kind, lines: timeline.describeBar(model, lane.number, bar, amount) }]);
    drawLinks();
  }

  // Choose an event and show its details.
  function choose(event) {
    chosen = event;
    const { title, sections } = timeline.describe(model, event);
    details(title, sections);
    drawLinks();
  }

  // Go to an event from the details: open its lane, bring it into sight, choose it.
  function go(event) {
    for (let lane = model.lanes[model.lanes[timeline.laneOf(model, event)]?.parent]; lane; lane = model.lanes[lane.parent]) lane.open = true;
    reopened();
    const row = rowOf(event), seen = plot.frame_height / ROW, top = el("scroll").scrollTop / ROW;
    if (row < top || row > top + seen) el("scroll").scrollTop = Math.max(0, (row - seen / 2) * ROW);
    const { start, end } = plot.x_range, x = xs[event];
    if (x < start || x > end) show(x - (end - start) / 2, x + (end - start) / 2);
    choose(event);
  }

  const text = (tag) => (line) => {
    const part = document.createElement(tag);
    part.textContent = line;
    return part;
  };

  function details(title, sections) {
    const parts = sections.map((section) => {
      const box = document.createElement("section");
      box.append(text("h3")(section.title), ...section.lines.map((line) => {
        if (typeof line === "string") return text("p")(line);
        const link = text("button")(timeline.name(model, line.event));
        if (timeline.isBad(model, line.event)) link.className = "bad";
        link.addEventListener("click", () => go(line.event));
        return link;
      }));
      return box;
    });
    const all = document.createElement("div");
    all.className = "sections";
    all.append(...parts);
    el("details").replaceChildren(text("h2")(title), all);
  }

  return { start, changed, labels, move, leave, tap, choose, go, state: () => ({ model, xs, rows, plot, drawn, chosen, kind }) };
})();
