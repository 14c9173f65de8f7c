// The page of `otel-rs view --web`. All that comes from telemetry becomes text (textContent), never markup.
"use strict";

const PAUSE = 300; // between two questions, in milliseconds
const RETRY = 2000;
const byId = (id) => document.getElementById(id);

/** An element with children; texts become text nodes. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "scope") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

// --- Numbers and times ---------------------------------------------------------------------------------------------

function duration(micros) {
  if (micros < 1) return `${Math.round(micros * 1000)} ns`;
  if (micros < 999.95) return `${micros.toFixed(1)} µs`;
  if (micros < 999950) return `${(micros / 1e3).toFixed(1)} ms`;
  return `${(micros / 1e6).toFixed(2)} s`;
}

const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

function clock(millis) {
  const time = new Date(millis);
  if (!millis || Number.isNaN(time.getTime())) return "";
  const digits = (number, length = 2) => String(number).padStart(length, "0");
  return `${digits(time.getHours())}:${digits(time.getMinutes())}:${digits(time.getSeconds())}.${digits(time.getMilliseconds(), 3)}`;
}

// --- A list in which the arrow keys choose -------------------------------------------------------------------------

class ListBox {
  constructor(list, { choose = () => {}, open = () => {} }) {
    this.list = list;
    this.choose = choose;
    this.open = open;
    this.chosen = null;
    list.addEventListener("keydown", (event) => this.key(event));
    list.addEventListener("click", (event) => {
      const item = event.target.closest("li");
      if (!item) return;
      this.select(item);
      this.open(item);
    });
  }

  /** Shows items, each an `li` with an id; what was chosen stays chosen. */
  show(items) {
    const before = this.chosen;
    this.list.replaceChildren(...items);
    this.chosen = null;
    const same = items.find((item) => item.id === before);
    if (same) this.mark(same);
    else this.list.removeAttribute("aria-activedescendant");
  }

  mark(item) {
    for (const other of this.list.querySelectorAll('[aria-selected="true"]')) other.setAttribute("aria-selected", "false");
    item.setAttribute("aria-selected", "true");
    this.list.setAttribute("aria-activedescendant", item.id);
    this.chosen = item.id;
  }

  select(item) {
    this.mark(item);
    item.scrollIntoView({ block: "nearest" });
    this.choose(item);
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const items = [...this.list.children];
    const at = items.findIndex((item) => item.id === this.chosen);
    const goes = { ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, Home: 0, End: items.length - 1, PageDown: at + 10, PageUp: at - 10 };
    if (event.key in goes && items.length) {
      this.select(items[Math.min(Math.max(goes[event.key], 0), items.length - 1)]);
      event.preventDefault();
    } else if (event.key === "Enter" && at >= 0) {
      this.open(items[at]);
      event.preventDefault();
    }
  }
}

// --- What is shown -------------------------------------------------------------------------------------------------

const traceList = new ListBox(byId("trace-list"), { open: (item) => (location.hash = `#trace=${item.dataset.id}`) });
const spanList = new ListBox(byId("span-list"), { choose: (item) => showSpan(trace.spans[item.dataset.index]) });
let trace = null; // the one that is open

function more(id, number, noun) {
  byId(id).hidden = number === 0;
  byId(id).textContent = `… ${number} more ${noun} are kept.`;
}

function showTraces(answer) {
  const items = answer.items.map((item) => {
    const label = `${item.name || "log records"}, ${item.services.join(", ")}, ${count(item.spans, "span")}, ${duration(item.duration_micros)}`;
    return element(
      "li",
      { role: "option", id: `trace-${item.id}`, "aria-selected": "false", "aria-label": item.errors ? `${label}, ${count(item.errors, "error")}` : label, "data-id": item.id },
      element("span", { className: "name" }, item.name),
      element("span", { className: "quiet wide" }, item.services.join(", ")),
      element("span", { className: "number wide" }, count(item.spans, "span")),
      element("span", { className: "number error" }, item.errors ? count(item.errors, "error") : ""),
      element("span", { className: "number" }, duration(item.duration_micros)),
      element("span", { className: "number quiet wide" }, clock(item.start_millis)),
    );
  });
  traceList.show(items);
  byId("traces-empty").hidden = items.length > 0;
  more("traces-more", answer.more, "traces");
  showServices(answer.services);
}

function showServices(services) {
  const select = byId("service");
  const known = [...select.options].slice(1).map((option) => option.value);
  if (known.join("\n") === services.join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(select.options[0], ...services.map((name) => element("option", { value: name }, name)));
  select.value = services.includes(chosen) ? chosen : "";
}

function showTrace(answer) {
  trace = answer;
  byId("detail").hidden = !answer;
  if (!answer) {
    byId("trace-title").textContent = "This trace is not kept any more.";
    spanList.show([]);
    return;
  }
  const root = answer.spans[0];
  byId("trace-title").textContent = `${root ? root.name : "Log records"}, ${duration(answer.duration_micros)}, trace ${answer.id}`;
  const total = Math.max(answer.duration_micros, 0.001);
  const items = answer.spans.map((span, index) => {
    const bar = element("div", { className: span.status === "ERROR" ? "bar failed" : "bar" });
    bar.style.left = `${Math.min((100 * span.offset_micros) / total, 99.5)}%`;
    bar.style.width = `${(100 * span.duration_micros) / total}%`;
    const name = element("span", { className: "name" }, span.name, element("span", { className: "quiet" }, `  ${span.service}`));
    name.style.paddingLeft = `${Math.min(span.depth, 20) * 0.9}rem`;
    const failed = span.status === "ERROR" ? ", error" : "";
    const logs = span.logs.length ? `, ${count(span.logs.length, "log record")}` : "";
    return element(
      "li",
      { role: "option", id: `span-${index}-${span.id}`, "aria-selected": "false", "aria-label": `Level ${span.depth + 1}: ${span.name}, ${span.service}, ${duration(span.duration_micros)}${failed}${logs}`, "data-index": index },
      name,
      element("div", { className: "track" }, bar),
      element("span", { className: failed ? "number error" : "number" }, duration(span.duration_micros)),
    );
  });
  spanList.show(items);
  byId("spans-more").hidden = answer.more_spans === 0;
  byId("spans-more").textContent = `… ${count(answer.more_spans, "more span")}.`;
  const chosen = items.find((item) => item.id === spanList.chosen) || items[0];
  if (chosen) {
    spanList.mark(chosen);
    showSpan(answer.spans[chosen.dataset.index]);
  } else {
    byId("detail").replaceChildren(...logsOf("Log records", answer.logs));
  }
}

function pairs(entries) {
  const list = element("dl");
  for (const [key, value] of entries) list.append(element("dt", {}, key), element("dd", {}, value));
  return list;
}

const titled = (title, ...content) => [element("h3", {}, title), ...content];

function severityClass(number) {
  if (number >= 17) return "error";
  return number >= 13 ? "warning" : "quiet";
}

function logsOf(title, logs) {
  if (!logs.length) return [];
  const list = element("dl");
  for (const log of logs) {
    list.append(
      element("dt", {}, element("span", { className: severityClass(log.severity_number) }, log.severity), ` ${clock(log.time_millis)}`),
      element("dd", {}, log.text, ...log.attributes.map(([key, value]) => element("div", { className: "quiet" }, `${key}=${value}`))),
    );
  }
  return titled(title, list);
}

let shownSpan = "";

function showSpan(span) {
  // What has not changed is not told to a screen reader again.
  const text = JSON.stringify(span);
  if (text === shownSpan) return;
  shownSpan = text;
  const facts = [
    ["service", span.service],
    ["kind", span.kind],
    ["duration", duration(span.duration_micros)],
    ["begins after", duration(span.offset_micros)],
    ["span id", span.id],
  ];
  if (span.parent) facts.push(["parent", span.parent]);
  if (span.status) facts.push(["status", span.message ? `${span.status}: ${span.message}` : span.status]);
  const events = span.events.flatMap((event) => titled(`Event: ${event.name}, after ${duration(event.offset_micros)}`, pairs(event.attributes)));
  byId("detail").replaceChildren(
    element("h3", { className: span.status === "ERROR" ? "error" : "" }, span.name),
    pairs(facts),
    ...(span.attributes.length ? titled("Attributes", pairs(span.attributes)) : []),
    ...logsOf("Log records", span.logs),
    ...events,
    ...(span.links.length ? titled("Links", ...span.links.map((link) => element("div", {}, link))) : []),
    ...logsOf("Log records of spans that are not here", trace.logs),
  );
}

function sparkline(points) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("class", "trend");
  svg.setAttribute("viewBox", "0 0 140 28");
  svg.setAttribute("role", "img");
  const values = points.map(([, value]) => value).filter((value) => typeof value === "number");
  const low = Math.min(...values);
  const high = Math.max(...values);
  svg.setAttribute("aria-label", values.length ? `${count(values.length, "point")} from ${low} to ${high}` : "no points");
  const x = (index) => 2 + (136 * index) / Math.max(values.length - 1, 1);
  const y = (value) => (high > low ? 25 - (22 * (value - low)) / (high - low) : 14);
  const line = document.createElementNS(namespace, "polyline");
  const drawn = values.length === 1 ? [values[0], values[0]] : values;
  line.setAttribute("points", drawn.map((value, index) => `${values.length === 1 ? 2 + 136 * index : x(index)},${y(value)}`).join(" "));
  svg.append(line);
  return svg;
}

function showMetrics(answer) {
  const rows = answer.items.map((series) =>
    element(
      "tr",
      {},
      element("td", {}, series.service),
      element("th", { scope: "row" }, series.name),
      element("td", { className: "quiet" }, series.attributes),
      element("td", {}, series.value),
      element("td", {}, sparkline(series.points)),
    ),
  );
  byId("metric-rows").replaceChildren(...rows);
  byId("metrics-empty").hidden = rows.length > 0;
  more("metrics-more", answer.more, "series");
}

function showLogs(answer) {
  const rows = answer.items.map((log) =>
    element(
      "tr",
      {},
      element("td", { className: "time" }, clock(log.time_millis)),
      element("td", {}, log.service),
      element("td", { className: severityClass(log.severity_number) }, log.severity),
      element("td", {}, log.text, ...log.attributes.map(([key, value]) => element("div", { className: "quiet" }, `${key}=${value}`))),
    ),
  );
  byId("log-rows").replaceChildren(...rows);
  byId("logs-empty").hidden = rows.length > 0;
  more("logs-more", answer.more, "records");
}

// --- Where we are, and what is new ---------------------------------------------------------------------------------

const SECTIONS = ["traces", "trace", "metrics", "logs"];

function place() {
  const [name, id] = location.hash.slice(1).split("=");
  return SECTIONS.includes(name) ? { name, id } : { name: "traces" };
}

function filterQuery() {
  const fields = { service: byId("service").value, name: byId("name").value.trim(), min_millis: byId("min").value, errors: byId("errors").checked ? "1" : "" };
  return Object.entries(fields).map(([name, value]) => `&${name}=${encodeURIComponent(value)}`).join("");
}

let asking = new AbortController();

/** Asks for what is shown, and again as soon as there is more, until something else is shown. */
async function follow() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const { name, id } = place();
  for (const section of SECTIONS) byId(section).hidden = section !== name;
  for (const link of ["traces", "metrics", "logs"]) {
    const isCurrent = link === name || (link === "traces" && name === "trace");
    if (isCurrent) byId(`to-${link}`).setAttribute("aria-current", "page");
    else byId(`to-${link}`).removeAttribute("aria-current");
  }
  let version = null; // of what is shown
  while (!signal.aborted) {
    try {
      version = await step(name, id, version, signal);
      await pause(PAUSE);
    } catch (error) {
      if (signal.aborted) return;
      byId("state").textContent = "otel-rs view does not answer";
      await pause(RETRY);
    }
  }
}

const pause = (millis) => new Promise((done) => setTimeout(done, millis));

async function ask(path, signal) {
  const response = await fetch(path, { signal });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

async function step(name, id, version, signal) {
  const list = name === "trace" ? "traces" : name;
  const answer = await ask(`/api/${list}?${version === null ? "" : `after=${version}`}${list === "traces" ? filterQuery() : ""}`, signal);
  const opened = name === "trace" ? await ask(`/api/traces/${id}`, signal) : null;
  if (signal.aborted) return version;
  const dropped = [
    [answer.dropped_traces, "old trace"],
    [answer.dropped_logs, "old record"],
    [answer.dropped_points, "point"],
  ].filter(([number]) => number > 0);
  byId("state").textContent = `Live${dropped.map(([number, noun]) => `, ${count(number, noun)} dropped`).join("")}`;
  if (answer.version === version) return version;
  if (name === "trace") showTrace(opened);
  else ({ traces: showTraces, metrics: showMetrics, logs: showLogs })[name](answer);
  return answer.version;
}

window.addEventListener("hashchange", () => {
  const { name } = place();
  shownSpan = "";
  if (name === "trace") spanList.chosen = null;
  follow();
  if (name === "trace") byId("span-list").focus();
  else if (name === "traces") byId("trace-list").focus();
  else byId("main").focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && place().name === "trace") location.hash = "#traces";
});
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("filter").addEventListener("input", follow);
follow();
