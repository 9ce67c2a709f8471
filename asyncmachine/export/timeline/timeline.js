// What a page of a timeline knows and works out: no drawing, no page. Numbers of lanes, events, transitions and bars are
// places in columns; see data.py, which fills them.
"use strict";
const timeline = (() => {
  const SPAN_BEGIN = 0, MACHINE_BEGIN = 1, TRANSITION = 2, POINT = 3, MACHINE_END = 4, SPAN_END = 5, END = 6;

  // Read what columns.py packed.
  async function decode(text) {
    const bytes = Uint8Array.from(atob(text.trim()), (sign) => sign.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const raw = new Uint8Array(await new Response(stream).arrayBuffer());
    let at = 4 + new DataView(raw.buffer).getUint32(0, true);
    const model = JSON.parse(new TextDecoder().decode(raw.subarray(4, at)));
    const columns = {};
    for (const [name, amount, width] of model.columns) {
      const column = columns[name] = new Float64Array(amount);
      let value = 0;
      for (let i = 0; i < amount; i++) {
        let coded = 0;
        for (let k = width - 1; k >= 0; k--) coded = coded * 256 + raw[at + k * amount + i];
        value += coded % 2 ? -(coded + 1) / 2 : coded / 2;
        column[i] = value;
      }
      at += amount * width;
    }
    return link(Object.assign(model, { columns }));
  }

  // Add what is looked up often: lanes as a tree, lanes of machines and points, effects of events.
  function link(model) {
    const c = model.columns;
    model.lanes = model.lanes.map(([parent, kind, label, machine, state, open], number) =>
      ({ number, parent, kind, label, machine, state, open: Boolean(open), below: [], depth: 0 }));
    model.roots = [];
    model.laneOfMachine = new Map();
    for (const lane of model.lanes) {
      const above = model.lanes[lane.parent];
      (above ? above.below : model.roots).push(lane);
      lane.depth = above ? above.depth + 1 : 0;
      if (lane.kind === "machine") model.laneOfMachine.set(lane.machine, lane.number);
    }
    model.laneOfEvent = new Map();  // of points: the deepest lane wins, which is listed last
    for (const lane of model.lanes) {
      if (lane.kind === "machine" || lane.kind === "machines") continue;
      for (let i = c.mark_from[lane.number]; i < c.mark_from[lane.number + 1]; i++)
        model.laneOfEvent.set(c.mark_event[i], lane.number);
    }
    model.effects = new Map();
    c.event_cause.forEach((cause, event) => {
      if (cause < 0) return;
      if (!model.effects.has(cause)) model.effects.set(cause, []);
      model.effects.get(cause).push(event);
    });
    return model;
  }

  // The first index in [from, to) whose value is above x.
  function after(values, x, from, to) {
    while (from < to) {
      const middle = (from + to) >> 1;
      if (values(middle) <= x) from = middle + 1; else to = middle;
    }
    return from;
  }

  // Where each event stands, by the clock in seconds or in order in steps.
  const axis = (model, kind) => kind === "time"
    ? model.columns.event_time.map((ns) => ns / 1e9)
    : model.columns.event_place.map((place) => place / 1000);

  // The time in ns at a place of an axis: that of the latest event there.
  function timeAt(model, xs, x) {
    let found = null;
    for (const track of model.tracks) {
      const at = after((i) => xs[i], x, track.first, track.last + 1) - 1;
      if (at >= track.first) found = Math.max(found ?? -Infinity, model.columns.event_time[at]);
    }
    return found ?? Math.min(...model.tracks.map((track) => model.columns.event_time[track.first]));
  }

  // Where the time moves on, on an axis of order: the first event of each instant.
  function instants(model, xs) {
    const found = new Map();
    for (const track of model.tracks) {
      for (let event = track.first; event <= track.last; event++) {
        const time = model.columns.event_time[event];
        if (!(found.get(time) <= xs[event])) found.set(time, xs[event]);
      }
    }
    return Float64Array.from(found.values()).sort();
  }

  // Bars of a lane between x0 and x1, those narrower than a pixel merged with their neighbours: [from, to, first, amount].
  function bars(model, xs, lane, x0, x1, pixel) {
    const { bar_from, bar_begin, bar_end } = model.columns;
    const begin = (i) => xs[bar_begin[i]];
    const last = bar_from[lane + 1];
    const found = [];
    let i = Math.max(bar_from[lane], after(begin, x0, bar_from[lane], last) - 1);
    let now = null;
    for (; i < last && begin(i) <= x1; i++) {
      const from = begin(i), to = xs[bar_end[i]];
      if (to < x0) continue;
      if (now && from - now[1] < pixel && (to - from < pixel || now[1] - now[0] < pixel)) {
        now[1] = to;
        now[3]++;
      } else {
        now = [from, to, i, 1];
        found.push(now);
      }
    }
    return found;
  }

  // Marks of a lane, merged alike: [x, x of the last, place of the first in the column, amount, worst of them].
  function marks(model, xs, lane, x0, x1, pixel) {
    const { mark_from, mark_event } = model.columns;
    const at = (i) => xs[mark_event[i]];
    const last = mark_from[lane + 1];
    const found = [];
    let now = null;
    for (let i = after(at, x0 - pixel, mark_from[lane], last); i < last && at(i) <= x1; i++) {
      const bad = isBad(model, mark_event[i]);
      if (now && at(i) - now[0] < pixel) {
        now[1] = at(i);
        now[3]++;
        if (bad && now[4] < 0) now[4] = i;
      } else {
        now = [at(i), at(i), i, 1, bad ? i : -1];
        found.push(now);
      }
    }
    return found;
  }

  // Whether an event is a refused mutation that somebody made, or a transition with an error. Automatic mutations and questions
  // are refused all the time.
  function isBad(model, event) {
    const tx = model.columns.event_ref[event];
    if (model.columns.event_kind[event] !== TRANSITION || tx < 0) return false;
    const change = model.changes[model.columns.tx_change[tx]];
    return model.columns.tx_error[tx] >= 0 || !(change.accepted || change.auto || change.check);
  }

  // The lanes in sight: all whose parents are open.
  function visible(model) {
    const found = [];
    const walk = (lanes) => lanes.forEach((lane) => {
      found.push(lane);
      if (lane.open) walk(lane.below);
    });
    walk(model.roots);
    return found;
  }

  // The lane of an event.
  function laneOf(model, event) {
    const c = model.columns, ref = c.event_ref[event];
    return c.event_kind[event] === TRANSITION ? model.laneOfMachine.get(c.tx_machine[ref]) : model.laneOfEvent.get(event);
  }

  // The mark or bar of a lane at x, at most `reach` away: {event} or {bar}; null if there is none.
  function at(model, xs, lane, x, reach) {
    const c = model.columns;
    const mark = (i) => xs[c.mark_event[i]];
    const next = after(mark, x, c.mark_from[lane], c.mark_from[lane + 1]);
    const near = [next - 1, next].filter((i) => i >= c.mark_from[lane] && i < c.mark_from[lane + 1]);
    near.sort((a, b) => Math.abs(mark(a) - x) - Math.abs(mark(b) - x));
    if (near.length && Math.abs(mark(near[0]) - x) <= reach) {
      const low = after(mark, mark(near[0]) - reach / 3, c.mark_from[lane], c.mark_from[lane + 1]);
      const high = after(mark, mark(near[0]) + reach / 3, c.mark_from[lane], c.mark_from[lane + 1]);
      return { event: c.mark_event[near[0]], amount: Math.max(1, high - low) };
    }
    const begin = (i) => xs[c.bar_begin[i]];
    const first = c.bar_from[lane], last = c.bar_from[lane + 1];
    const bar = after(begin, x, first, last);
    const over = [bar - 1, bar].filter((i) => i >= first && i < last)
      .map((i) => [Math.max(begin(i) - x, x - xs[c.bar_end[i]], 0), i]).sort((a, b) => a[0] - b[0])[0];
    if (!over || over[0] > reach) return null;
    const low = after((i) => xs[c.bar_end[i]], x - reach / 3, first, last);
    const high = after(begin, x + reach / 3, first, last);
    return { bar: over[1], amount: Math.max(1, high - low) };
  }

  // A length of time in words.
  function span(ns) {
    const [unit, name] = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]].find(([one]) => Math.abs(ns) >= one) ?? [1, "ns"];
    return `${Number((ns / unit).toPrecision(4))} ${name}`;
  }

  // A moment in words, to the microsecond.
  const moment = (ns) => `${(ns / 1e9).toFixed(6).replace(/(\.\d\d\d)000$/, "$1")} s`;

  function name(model, event) {
    const c = model.columns, ref = c.event_ref[event];
    if (c.event_kind[event] === POINT) return model.names[c.point_name[ref]];
    if (c.event_kind[event] !== TRANSITION) return ["begin of a span", "begin", "", "", "end", "end of a span", "end of the record"][c.event_kind[event]];
    const number = c.tx_number[ref];
    return `${machine(model, ref)}-${number > 0 ? number : `p${-number}`} ${model.changes[c.tx_change[ref]].label}`;
  }

  const machine = (model, tx) => model.machines[model.columns.tx_machine[tx]]?.id ?? "";

  // What became of a mutation, in words.
  function outcome(model, tx) {
    const change = model.changes[model.columns.tx_change[tx]];
    const words = change.accepted ? "executed" : change.by ? `refused by ${change.by}` : "refused";
    return words + (change.auto ? ", automatic" : "") + (change.check ? ", only asked whether it could be" : "");
  }

  // Why relations refused, a sentence each.
  const reasons = (model, tx) => model.changes[model.columns.tx_change[tx]].reason.map(([state, why, others]) =>
    why === "requires" ? `${state} requires ${others.join(", ")}` : `${state} is removed by ${others.join(", ")}`);

  // States that a transition began and ended, and those whose clock only moved on.
  function moved(model, tx) {
    const c = model.columns, event = c.tx_event[tx];
    const found = { activated: [], deactivated: [], ticked: [] };
    const lane = model.lanes[model.laneOfMachine.get(c.tx_machine[tx])];
    for (const state of Object.keys(model.changes[c.tx_change[tx]].moved)) {
      const own = lane?.below.find((one) => one.kind === "state" && one.label === state);
      let begun = false, ended = false;
      if (own) {
        const first = c.bar_from[own.number], last = c.bar_from[own.number + 1];
        const next = after((i) => c.bar_begin[i], event, first, last);
        begun = next > first && c.bar_begin[next - 1] === event;
        ended = [next - 1, next - 2].some((i) => i >= first && c.bar_end[i] === event);
      }
      found[begun ? "activated" : ended ? "deactivated" : "ticked"].push(state);
    }
    return found;
  }

  // A step of a transition in words.
  function step([kind, state, other, relation, handler]) {
    switch (kind) {
      case "called": return `called ${state}`;
      case "relation": return `${state} ${relation}: ${other}`;
      case "handler": return `handler ${handler}`;
      case "cancel": return `cancelled by ${handler || state}`;
      case "missing": return `missing ${state}`;
      default: return `${kind} ${state}`;
    }
  }

  // Everything about an event, as sections of lines; a line is text, or {event} to go to.
  function describe(model, event) {
    const c = model.columns, ref = c.event_ref[event];
    const sections = [];
    const add = (title, lines) => { if (lines.length) sections.push({ title, lines }); };
    if (c.event_kind[event] === TRANSITION) describeTransition(model, ref, add);
    else if (c.event_kind[event] === POINT) {
      add("Facts", [`at ${moment(c.event_time[event])}`,
        ...(c.point_span[ref] >= 0 ? [`in ${model.spans[c.point_span[ref]].name}`] : []),
        ...model.attributes[c.point_attributes[ref]].map(([key, value]) => `${key}: ${value}`)]);
    }
    const isPoint = c.event_kind[event] === POINT;
    const cause = causes(model, event);
    const outside = !isPoint && cause.length < 1 && ref >= 0 && c.tx_source[ref] >= 0 ? [model.texts[c.tx_source[ref]]] : [];
    add(isPoint ? "Followed" : "Cause", [...cause.map((one) => ({ event: one })), ...outside]);
    const effects = model.effects.get(event) ?? [];
    const more = effects.length > 50 ? [`and ${effects.length - 50} more`] : [];
    add(isPoint ? "Was followed by" : "Caused", [...effects.slice(0, 50).map((one) => ({ event: one })), ...more]);
    return { title: name(model, event), sections };
  }

  function describeTransition(model, tx, add) {
    const c = model.columns, event = c.tx_event[tx];
    const { activated, deactivated, ticked } = moved(model, tx);
    const error = c.tx_error[tx] >= 0 ? [`error: ${model.texts[c.tx_error[tx]]}`] : [];
    add("What it did", [outcome(model, tx), ...reasons(model, tx), ...error,
      ...(activated.length ? [`activated ${activated.join(", ")}`] : []),
      ...(deactivated.length ? [`deactivated ${deactivated.join(", ")}`] : []),
      ...(ticked.length ? [`moved on ${ticked.join(", ")}`] : []),
      `ended at ${moment(c.event_time[event])}`,
      ...(c.tx_ns[tx] > 0 ? [`took ${span(c.tx_ns[tx])}`] : []),
      ...(c.tx_queue[tx] > 0 ? [`${c.tx_queue[tx]} waited in the queue`] : [])]);
    if (c.tx_args[tx] >= 0) add("Arguments", model.args[c.tx_args[tx]].map(([key, value]) => `${key}: ${value}`));
    if (c.tx_steps[tx] >= 0) add("Steps", model.steps[c.tx_steps[tx]].map(step));
    const called = [];
    for (let i = c.handler_from[tx]; i < c.handler_from[tx + 1]; i++)
      called.push(model.handlers[c.handler_name[i]] + (c.handler_ns[i] >= 0 ? `, ${span(c.handler_ns[i])}` : ""));
    add("Handlers", called);
    const logs = [];
    for (let i = c.log_from[tx]; i < c.log_from[tx + 1]; i++) logs.push(model.texts[c.log_text[i]]);
    add("Log", logs);
  }

  // The chain of causes of an event, the nearest first.
  function causes(model, event) {
    const found = [];
    for (let at = model.columns.event_cause[event]; at >= 0 && found.length < 20 && !found.includes(at);
      at = model.columns.event_cause[at]) found.push(at);
    return found;
  }

  // What a bar stands for, in lines.
  function describeBar(model, lane, bar, amount) {
    const c = model.columns, kind = model.lanes[lane].kind;
    const begin = c.event_time[c.bar_begin[bar]], end = c.event_time[c.bar_end[bar]];
    if (amount > 1) return [`${amount} within a pixel: zoom in to see each`];
    const open = c.event_kind[c.bar_end[bar]] === END;
    const lines = [`${moment(begin)} to ${moment(end)} (${span(end - begin)})${open ? ", and on" : ""}`];
    if (kind === "state" && c.event_kind[c.bar_begin[bar]] === TRANSITION) {
      lines.push(`begun by ${name(model, c.bar_begin[bar])}`);
      if (!open && c.event_kind[c.bar_end[bar]] === TRANSITION) lines.push(`ended by ${name(model, c.bar_end[bar])}`);
    }
    if (kind === "span") lines.push(...model.spans[c.bar_info[bar]].attributes.map(([key, value]) => `${key}: ${value}`));
    return lines;
  }

  // The points of the flow of a point, in order; of a transition its causes and effects: pairs to join by a line.
  function joined(model, event) {
    const c = model.columns, ref = c.event_ref[event];
    const pairs = [];
    if (c.event_kind[event] === POINT && c.point_flow[ref] >= 0) {
      c.point_flow.forEach((flow, point) => {
        const own = c.point_event[point], cause = c.event_cause[own];
        if (flow === c.point_flow[ref] && cause >= 0) pairs.push([cause, own]);
      });
      return pairs;
    }
    let at = event;
    for (const cause of causes(model, event)) {
      pairs.push([cause, at]);
      at = cause;
    }
    for (const effect of (model.effects.get(event) ?? []).slice(0, 50)) pairs.push([event, effect]);
    return pairs;
  }

  return { decode, link, axis, after, timeAt, instants, bars, marks, visible, laneOf, at, span, moment, name, describe, describeBar,
    isBad, joined, causes, moved, TRANSITION, POINT, END };
})();
if (typeof module !== "undefined") module.exports = timeline;
