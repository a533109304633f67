"use strict";

// Everything that is shown is put there as text: nothing of the application's is ever markup.

const PAGE_ROWS = 50;
const POLL_MILLISECONDS = 2000;
const SILENCE_MILLISECONDS = 2500;
const LONGEST_PRESS_MILLISECONDS = 2000;
const SEVERITIES = ["error", "warning", "info"];
const ROUTE_COLUMNS = [
  ["name", "Route"],
  ["opened", "Opened"],
  ["closed", "Closed"],
  ["open", "Open"],
  ["leaked", "Leaked"],
  ["committed", "Commits"],
  ["rolled_back", "Rollbacks"],
  ["discarded", "Discarded"],
  ["held_p50_seconds", "Held, p50"],
  ["held_p99_seconds", "Held, p99"],
];

const byId = (id) => document.getElementById(id);
const path = location.pathname;
const state = { paused: false, report: null, offset: 0, routeOrder: "leaked", expanded: new Set() };

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function pictureLink() {
  return element("a", { class: "picture" }, "Picture");
}

function setPicture(node, owner) {
  const link = node.querySelector(".picture");
  const target = `${path}/owners/${owner.id}`;
  if (link.getAttribute("href") === target) return;
  link.setAttribute("href", target);
  link.setAttribute("aria-label", `Picture of ${owner.name}, number ${owner.id}`);
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Keeps the nodes of rows that are still there, so that focus, selection and place stay.
function sync(parent, rows, keyOf, create, update) {
  const known = new Map();
  for (const node of parent.children) known.set(node.rowKey, node);
  let place = parent.firstElementChild;
  const seen = new Set();
  for (const row of rows) {
    const key = keyOf(row);
    if (seen.has(key)) continue;
    seen.add(key);
    let node = known.get(key);
    if (!node) {
      node = create(row);
      node.rowKey = key;
    }
    update(node, row);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const [key, node] of known) if (!seen.has(key)) node.remove();
}

function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 0.001) return `${Math.round(value * 1e6)} µs`;
  if (value < 1) return `${(value * 1000).toPrecision(3).replace(/\.0+$/, "")} ms`;
  if (value < 60) return `${value.toFixed(1)} s`;
  const minutes = Math.floor(value / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(value % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const placeText = (place) => (place ? `${place.file}:${place.line} in ${place.function}` : "unknown");
const number = (value) => value.toLocaleString("en");
const times = (count) => (count === 1 ? "once" : `${number(count)} times`);

function stackNode(stack) {
  const box = element("div", { class: "stack code" });
  for (const frame of stack) {
    const line = element("div", {}, placeText(frame));
    if (frame.origin !== "application") line.className = "library";
    box.append(line);
  }
  if (!stack.length) box.append("no stack was kept");
  return box;
}

function toggle(key, button, box) {
  const open = !state.expanded.has(key);
  if (open) state.expanded.add(key);
  else state.expanded.delete(key);
  button.setAttribute("aria-expanded", String(open));
  box.hidden = !open;
}

// What is shown

function showTotals({ totals, internal_errors: errors }) {
  const parts = [
    `${number(totals.opened)} opened`,
    `${number(totals.closed)} closed`,
    `${number(totals.open)} open`,
    `${number(totals.leaked)} leaked`,
    `${number(totals.committed)} commits`,
    `${number(totals.rolled_back)} rollbacks`,
    `${number(totals.discarded)} discarded`,
  ];
  if (errors.count) parts.push(`${number(errors.count)} errors of sessionwatch itself`);
  setText(byId("totals"), parts.join(" · "));
}

function none(list, isEmpty) {
  list.closest("section").querySelector(".none").hidden = !isEmpty;
}

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function capacityOf(pool) {
  if (pool.size === null || pool.max_overflow === null || pool.max_overflow < 0) return null;
  return pool.size + pool.max_overflow;
}

function createPool() {
  const chart = svg("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img" });
  chart.append(svg("line", { x1: 0, x2: 100, y1: 1, y2: 1 }), svg("polyline", { points: "" }));
  return element("li", {}, element("h3", { class: "code" }), element("p", { class: "numbers" }), chart,
    element("p", { class: "quiet" }));
}

function updatePool(node, pool) {
  const capacity = capacityOf(pool);
  const full = capacity !== null && pool.checked_out >= capacity;
  const [title, numbers, chart, more] = node.children;
  node.dataset.full = String(full);
  setText(title, `${pool.name} (${pool.class})`);
  const used = capacity === null ? `${pool.checked_out} used` : `${pool.checked_out} of ${capacity} used`;
  const parts = [used];
  if (pool.idle !== null) parts.push(`${pool.idle} idle`);
  if (pool.overflow !== null) parts.push(`${pool.overflow} overflow`);
  parts.push(`${pool.waiting} waiting`);
  setText(numbers, parts.join(" · ") + (full ? " · full" : ""));
  const history = [...pool.history, { seconds_ago: 0, checked_out: pool.checked_out, waiting: pool.waiting }];
  const first = Math.max(1, history[0].seconds_ago);
  const most = Math.max(1, capacity ?? 0, ...history.map((each) => each.checked_out));
  const points = history.map((each) => {
    const x = 100 * (1 - each.seconds_ago / first);
    return `${x.toFixed(2)},${(29 - (28 * each.checked_out) / most).toFixed(2)}`;
  });
  chart.children[0].setAttribute("visibility", capacity === null ? "hidden" : "visible");
  const top = capacity === null ? 1 : 29 - (28 * capacity) / most;
  chart.children[0].setAttribute("y1", top);
  chart.children[0].setAttribute("y2", top);
  chart.children[1].setAttribute("points", points.join(" "));
  const peak = Math.max(...history.map((each) => each.checked_out));
  chart.setAttribute("aria-label", `connections used in the last ${seconds(first)}: at most ${peak}`);
  setText(more, `last ${seconds(first)}: at most ${peak} used · ${number(pool.checkouts)} checkouts · ` +
    `${number(pool.waits)} waits · ${number(pool.timeouts)} timeouts`);
}

function ownerText(owner) {
  const status = owner.status === null ? "" : ` → ${owner.status}`;
  return owner.name + status + (owner.error ? ` (${owner.error})` : "");
}

function createSession(row) {
  const box = stackNode(row.stack);
  const key = `session ${row.id}`;
  const open = state.expanded.has(key);
  box.hidden = !open;
  const button = element("button", { type: "button", class: "more code", "aria-expanded": String(open) });
  button.addEventListener("click", () => toggle(key, button, box));
  const cell = (label, properties = {}) => element("td", { ...properties, "data-label": label });
  const made = element("tr", {}, cell("Owner"), cell("Opened at"), cell("Age", { class: "number" }),
    cell("Idle", { class: "number" }), cell("State"), cell("Last statement", { class: "code" }));
  made.children[0].append(element("div", {}, element("div"), pictureLink()));
  made.children[1].append(element("div", {}, button, box));
  return made;
}

function updateSession(node, row) {
  const [owner, place, age, idle, status, statement] = node.children;
  node.className = row.owner_ended ? "outlived" : "";
  setText(owner.firstChild.firstChild, ownerText(row.owner) + (row.owner_ended ? ", which is over" : ""));
  setPicture(owner, row.owner);
  setText(place.querySelector("button"), placeText(row.opened_at));
  setText(age, seconds(row.age_seconds));
  setText(idle, seconds(row.idle_seconds));
  const held = row.connections_out === 1 ? "1 connection" : `${row.connections_out} connections`;
  const writes = row.uncommitted_writes ? `, ${row.uncommitted_writes} uncommitted writes` : "";
  setText(status, `${row.state}, ${held}${writes}`);
  setText(statement, row.last_statement ?? "none");
}

function markdownOf(finding) {
  const line = (text) => text.replace(/\s+/g, " ");
  const lines = [
    `### ${finding.code} ${finding.name} (${finding.severity}, ${finding.evidence})`,
    "",
    line(finding.message),
    "",
    `- seen ${times(finding.count)}, first ${finding.first_seen}, last ${finding.last_seen}`,
    `- cause: ${line(finding.cause)}`,
    `- fix: ${line(finding.fix)}`,
  ];
  if (finding.stack.length) lines.push("", "```", ...finding.stack.map(placeText), "```");
  return lines.join("\n") + "\n";
}

function createFinding(row) {
  const key = `finding ${findingKey(row)}`;
  const open = state.expanded.has(key);
  const box = element("div", {}, stackNode(row.stack));
  box.hidden = !open;
  const more = element("button", { type: "button", class: "more", "aria-expanded": String(open) }, "stack");
  more.addEventListener("click", () => toggle(key, more, box));
  const copy = element("button", { type: "button" }, "Copy as Markdown");
  const made = element("li", {},
    element("h3", {}, element("span", { class: "severity" }), element("span", {})),
    element("p", { class: "message" }), element("p", { class: "cause" }), element("p", { class: "fix" }),
    element("p", { class: "quiet when" }), element("p", {}, more, " ", pictureLink(), " ", copy), box);
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(markdownOf(made.finding));
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "The browser did not allow it";
    }
    setTimeout(() => { copy.textContent = "Copy as Markdown"; }, 2000);
  });
  return made;
}

const findingKey = (row) =>
  JSON.stringify([row.code, row.severity, row.owner.name, row.opened_at, row.details.pool, row.first_seen]);

function updateFinding(node, row) {
  node.finding = row;
  node.dataset.severity = row.severity;
  const [title, message, cause, fix, when] = node.children;
  setText(title.children[0], `${row.code} ${row.severity}`);
  setText(title.children[1], ` ${row.name.replaceAll("-", " ")} · ${row.evidence} · seen ${times(row.count)}`);
  setText(message, row.message);
  setPicture(node, row.owner);
  setText(cause, `Cause: ${row.cause}`);
  setText(fix, `Fix: ${row.fix}`);
  const time = (text) => new Date(text).toLocaleTimeString();
  const later = row.details.returned_later ? ` · ${row.details.returned_later} came back later` : "";
  const resolved = row.details.resolved ? ` · ${row.details.resolved} resolved` : "";
  setText(when, `first ${time(row.first_seen)}, last ${time(row.last_seen)}${later}${resolved}`);
}

function showRoutes(routes) {
  const rows = Object.entries(routes).map(([name, numbers]) => ({ name, ...numbers }));
  const order = state.routeOrder;
  const rank = (row) => row[order] ?? -1;
  rows.sort((one, other) => order === "name" ? one.name.localeCompare(other.name)
    : rank(other) - rank(one) || other.opened - one.opened || one.name.localeCompare(other.name));
  for (const heading of byId("routes").querySelectorAll("th"))
    heading.setAttribute("aria-sort", heading.dataset.order !== order ? "none"
      : order === "name" ? "ascending" : "descending");
  sync(byId("routes").tBodies[0], rows, (row) => row.name, createRoute, updateRoute);
  setText(byId("routes-count"), rows.length ? `(${number(rows.length)})` : "");
  none(byId("routes"), rows.length === 0);
}

function createRoute() {
  const cells = ROUTE_COLUMNS.map(([name]) => element("td", name === "name" ? {} : { class: "number" }));
  return element("tr", {}, ...cells);
}

function updateRoute(node, row) {
  ROUTE_COLUMNS.forEach(([name], index) => {
    const value = row[name];
    const text = name === "name" ? value : name.endsWith("_seconds") ? seconds(value) : number(value);
    setText(node.children[index], text);
  });
}

function showSessions(report) {
  const rows = report.open_sessions;
  const all = report.matching.open_sessions;
  sync(byId("sessions").tBodies[0], rows, (row) => row.id, createSession, updateSession);
  setText(byId("sessions-count"), all ? `(${number(all)})` : "");
  none(byId("sessions"), all === 0);
  byId("pages").hidden = all <= PAGE_ROWS && state.offset === 0;
  setText(byId("shown"), rows.length
    ? `${number(state.offset + 1)} to ${number(state.offset + rows.length)} of ${number(all)}` : `none of ${number(all)}`);
  byId("previous").disabled = state.offset === 0;
  byId("next").disabled = state.offset + rows.length >= all;
}

function showChoices(select, names) {
  const wanted = [...names];
  const chosen = select.value;
  if (chosen && !wanted.includes(chosen)) wanted.unshift(chosen);
  const known = [...select.options].slice(1).map((option) => option.value);
  if (JSON.stringify(known) === JSON.stringify(wanted) || document.activeElement === select) return;
  select.replaceChildren(select.options[0], ...wanted.map((name) => element("option", { value: name }, name)));
  select.value = chosen;
}

function show(report) {
  state.report = report;
  showTotals(report);
  sync(byId("pools"), report.pools.map((pool, index) => ({ ...pool, index })),
    (pool) => `${pool.name} ${pool.index}`, createPool, updatePool);
  none(byId("pools"), report.pools.length === 0);
  showSessions(report);
  const worstFirst = [...report.findings].sort((one, other) =>
    SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity));
  sync(byId("findings"), worstFirst, findingKey, createFinding, updateFinding);
  const found = report.matching.findings;
  setText(byId("findings-count"), found ? `(${number(found)})` : "");
  none(byId("findings"), found === 0);
  showRoutes(report.routes);
  const form = byId("filters").elements;
  if (!form.route.value && !form.search.value) showChoices(form.route, Object.keys(report.routes));
  if (!form.code.value && !form.search.value && !form.route.value)
    showChoices(form.code, [...new Set(report.findings.map((row) => row.code))].sort());
}

// Where it comes from

let source = null;
let lastArrival = Date.now();

function say(name, text) {
  byId("connection").dataset.state = name;
  setText(byId("connection"), text);
}

function query() {
  const asked = new URLSearchParams(location.search);
  asked.delete("format");
  asked.set("limit", String(PAGE_ROWS));
  if (state.offset) asked.set("offset", String(state.offset));
  else asked.delete("offset");
  return asked;
}

function arrived(text, how) {
  if (state.paused) return;
  lastArrival = Date.now();
  whenReleased(() => {
    byId("gone").hidden = true;
    say(how, how);
    show(JSON.parse(text));
  });
}

// Nothing moves between the press and the release of a button, so that a click hits what was meant.
let pressedSince = -Infinity;
let held = null;

function whenReleased(change) {
  if (Date.now() - pressedSince < LONGEST_PRESS_MILLISECONDS) held = change;
  else change();
}

function released() {
  pressedSince = -Infinity;
  if (held !== null && !state.paused) held();
  held = null;
}

addEventListener("pointerdown", () => { pressedSince = Date.now(); }, true);
// The click itself comes after the release.
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(released), true);

function lost(reason) {
  if (state.paused) return;
  whenReleased(() => {
    say("gone", "server gone");
    const since = new Date(lastArrival).toLocaleTimeString();
    setText(byId("gone"), `${reason} What you see is from ${since}; the page goes on as soon as it is back.`);
    byId("gone").hidden = false;
  });
}

async function ask() {
  const asked = query();
  asked.set("format", "json");
  try {
    const answer = await fetch(`${path}?${asked}`, { cache: "no-store", credentials: "same-origin" });
    if (answer.ok) arrived(await answer.text(), "polling");
    else if (answer.status === 403) lost("The server asks for the token again: reload the page.");
    else lost(`The server answers with status ${answer.status}.`);
  } catch {
    lost("The server does not answer.");
  }
}

function connect() {
  disconnect();
  if (state.paused) return;
  source = new EventSource(`${path}/events?${query()}`);
  source.onmessage = (event) => arrived(event.data, "live");
}

function disconnect() {
  if (source) source.close();
  source = null;
}

// Streams end now and then, and the browser returns by itself. Where nothing comes all the same,
// for want of the server or because something between holds the stream back, the page asks.
setInterval(() => {
  if (state.paused || Date.now() - lastArrival < SILENCE_MILLISECONDS) return;
  void ask();
  if (!source || source.readyState === EventSource.CLOSED) connect();
}, POLL_MILLISECONDS);

// What the user does

function toUrl() {
  const asked = new URLSearchParams(location.search);
  for (const field of byId("filters").elements) {
    if (!field.name) continue;
    const isDefault = field.value === "" || (field.name === "sort" && field.value === "age");
    if (isDefault) asked.delete(field.name);
    else asked.set(field.name, field.value);
  }
  if (state.offset) asked.set("offset", String(state.offset));
  else asked.delete("offset");
  if (state.routeOrder === "leaked") asked.delete("routes");
  else asked.set("routes", state.routeOrder);
  const text = asked.toString();
  history.replaceState(null, "", text ? `${path}?${text}` : path);
}

function fromUrl() {
  const asked = new URLSearchParams(location.search);
  const form = byId("filters").elements;
  for (const name of ["search", "route", "code", "sort"]) {
    const value = asked.get(name) ?? (name === "sort" ? "age" : "");
    if (form[name].tagName === "SELECT" && ![...form[name].options].some((each) => each.value === value))
      form[name].append(element("option", { value }, value));
    form[name].value = value;
  }
  state.offset = Math.max(0, Number.parseInt(asked.get("offset") ?? "0", 10) || 0);
  const order = asked.get("routes");
  if (ROUTE_COLUMNS.some(([name]) => name === order)) state.routeOrder = order;
}

let typing = null;
function changed() {
  state.offset = 0;
  toUrl();
  connect();
}

function turn(by) {
  state.offset = Math.max(0, state.offset + by);
  toUrl();
  connect();
}

byId("filters").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(changed, event.target.name === "search" ? 250 : 0);
});
byId("filters").addEventListener("reset", () => setTimeout(changed));
byId("filters").addEventListener("submit", (event) => { event.preventDefault(); changed(); });
byId("previous").addEventListener("click", () => turn(-PAGE_ROWS));
byId("next").addEventListener("click", () => turn(PAGE_ROWS));
byId("pause").addEventListener("click", () => {
  state.paused = !state.paused;
  byId("pause").setAttribute("aria-pressed", String(state.paused));
  setText(byId("pause"), state.paused ? "Go on" : "Pause");
  if (state.paused) { disconnect(); say("paused", "paused"); } else connect();
});
byId("routes").tHead.append(element("tr", {}, ...ROUTE_COLUMNS.map(([name, title]) => {
  const button = element("button", { type: "button" }, title);
  button.addEventListener("click", () => {
    state.routeOrder = name;
    toUrl();
    if (state.report) showRoutes(state.report.routes);
  });
  return element("th", { scope: "col", "data-order": name, class: name === "name" ? "" : "number" }, button);
})));
window.addEventListener("popstate", () => { fromUrl(); connect(); });
fromUrl();
connect();
