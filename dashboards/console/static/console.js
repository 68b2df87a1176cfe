// Draws /api/overview every two seconds, and one payment at #pay_…. Text is set as text, never as HTML.
const REFRESH_MS = 2000, STALE_MS = 15000, BUCKET_SECONDS = 10;
const at = (id) => document.getElementById(id);
const count = (n) => Number(n).toLocaleString("en");
const clock = (t) => new Date(t).toLocaleTimeString("en-GB");

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "polyline", "line", "text"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.map((child) => (child instanceof Node ? child : String(child ?? ""))));
  return node;
}

// columns: [title, (row) => text or node, numeric?]
function table(rows, columns, whenEmpty) {
  if (!rows.length) return make("p", { class: "none" }, whenEmpty);
  const kind = (numeric) => (numeric ? { class: "number" } : {});
  const head = make("tr", {}, ...columns.map(([title, , numeric]) => make("th", kind(numeric), title)));
  const body = rows.map((row) => make("tr", {}, ...columns.map(([, value, numeric]) => make("td", kind(numeric), value(row)))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
}

const marked = (text, mark) => make("span", { class: mark }, text);
const id = (text) => make("span", { class: "id" }, text);
const link = (payment) => make("a", { class: "id", href: `#${payment}` }, payment);
const STATUS = { captured: "good", settled: "good", authorized: "good", declined: "warn", failed: "bad", unknown: "bad", expired: "warn", voided: "dim", paid: "good", delivered: "good", exhausted: "bad" };
const status = (text) => marked(text.replaceAll("_", " "), STATUS[text] ?? "");

const sum = (rows, field) => rows.reduce((total, row) => total + Number(row[field] ?? 0), 0);

function tiles(sections) {
  const rows = (name) => sections[name]?.rows;
  const has = (name, value) => (rows(name) ? value(rows(name)) : "–");
  const lag = has("lags", (all) => sum(all, "lag"));
  const down = has("processes", (all) => all.filter((p) => p.state !== "ready").length);
  const wrong = has("imbalances", (all) => all.filter((r) => Number(r.balance_minor) !== 0).length);
  const letters = has("dead_letters", (all) => sum(all, "records"));
  const pending = has("processes", (all) => sum(all, "webhooks_pending"));
  const last = has("throughput", (all) => (sum(all.slice(-7, -1), "created") / (6 * BUCKET_SECONDS)).toFixed(1));
  const tile = (value, label, mark = "") => make("div", { class: "tile" }, make("b", { class: mark }, value), make("span", {}, label));
  const zero = (value, bad = "bad") => (value === "–" ? "dim" : value ? bad : "good");
  const shown = (value) => (value === "–" ? value : count(value));
  return [
    tile(has("payments", (all) => count(sum(all, "payments"))), "payments"),
    tile(last, "created per second, last minute"),
    tile(wrong === "–" ? wrong : wrong ? "off" : "0", "trial balance", zero(wrong)),
    tile(shown(lag), "offsets behind", lag === "–" ? "dim" : ""),
    tile(down === "–" ? down : down ? `${down} down` : "all ready", "processes", zero(down)),
    tile(shown(pending), "webhooks pending", pending === "–" ? "dim" : ""),
    tile(shown(letters), "dead letters", zero(letters, "warn")),
  ];
}

function chart(rows) {
  if (!rows.length) return make("p", { class: "none" }, "no payment in the last minutes");
  const width = at("throughput").clientWidth || 1200, height = 150, left = 40, bottom = 18;
  const first = rows[0].at, buckets = Math.max(2, (rows.at(-1).at - first) / BUCKET_SECONDS + 1);
  const names = ["created", "captured", "refused"];
  const series = Object.fromEntries(names.map((name) => [name, new Array(buckets).fill(0)]));
  for (const row of rows) for (const name of names) series[name][(row.at - first) / BUCKET_SECONDS] = row[name] / BUCKET_SECONDS;
  const top = Math.max(0.1, ...names.flatMap((name) => series[name])) * 1.1;
  const x = (i) => left + (i / (buckets - 1)) * (width - left), y = (v) => (height - bottom) * (1 - v / top) + 4;
  const lines = [0, 0.5, 1].flatMap((part) => [
    make("line", { class: "grid", x1: left, x2: width, y1: y(top * part * 0.9), y2: y(top * part * 0.9) }),
    make("text", { x: 0, y: y(top * part * 0.9) + 4 }, (top * part * 0.9).toPrecision(2)),
  ]);
  const curves = names.map((name) => make("polyline", { class: name, points: series[name].map((v, i) => `${x(i)},${y(v)}`).join(" ") }));
  const times = [make("text", { x: left, y: height }, clock(first * 1000)), make("text", { x: width, y: height, "text-anchor": "end" }, clock(rows.at(-1).at * 1000))];
  const colors = { created: "", captured: "good", refused: "bad" };
  const legend = names.map((name) => make("span", { class: colors[name] }, make("i"), name));
  legend[0].style.color = "var(--accent)";
  return make("div", {}, make("svg", { class: "chart", viewBox: `0 0 ${width} ${height}` }, ...lines, ...curves, ...times), make("p", { class: "legend" }, ...legend));
}

function bars(rows) {
  const most = Math.max(1, ...rows.map((row) => row.payments));
  const bar = (row) => { const b = make("span", { class: "bar" }); b.style.width = `${(row.payments / most) * 100}%`; return b; };
  const t = table(rows, [["status", (r) => status(r.status)], ["payments", (r) => count(r.payments), true], ["", bar]], "no payment yet");
  for (const cell of t.querySelectorAll("td:last-child")) cell.style.width = "50%";
  return t;
}

const MARKS = { ready: "good", "not ready": "warn", down: "bad" };
const draw = {
  throughput: chart,
  payments: bars,
  lags: (rows) => table(rows, [["group", (r) => r.group], ["topic", (r) => r.topic], ["behind", (r) => (r.lag ? count(r.lag) : marked("0", "dim")), true], ["", (r) => (r.open ? marked("open", "dim") : "")]], "no group has started"),
  processes: (rows) => table(rows, [["process", (r) => r.name], ["state", (r) => marked(r.state, MARKS[r.state])], ["memory", (r) => (r.memory_megabytes ? `${r.memory_megabytes} MB` : ""), true], ["", (r) => r.reason ?? (r.breaker && r.breaker !== "closed" ? marked(`breaker ${r.breaker}`, "warn") : "")]], "no address of a process is known"),
  trial_balance: (rows) => table(rows, [["account", (r) => r.account.replaceAll("_", " ")], ["state", (r) => marked(r.state, r.state === "pending" ? "dim" : "")], ["balance", (r) => r.balance_decimal, true], ["", (r) => r.currency]], "no entry yet"),
  freshness: (rows) => table(rows, [["table", (r) => r.table_name], ["newest event", (r) => clock(r.last_event_at)], ["took", (r) => `${Number(r.delay_seconds).toFixed(1)} s`, true], ["idle", (r) => `${count(Math.round(r.idle_seconds))} s`, true]], "no row yet"),
  webhooks: (rows) => table(rows, [["attempts, last hour", (r) => status(r.result)], ["", (r) => count(r.attempts), true]], "no webhook in the last hour"),
  payouts: (rows) => table(rows, [["payouts", (r) => status(r.status)], ["", (r) => count(r.payouts), true], ["amount", (r) => r.amount, true], ["", (r) => r.currency], ["", (r) => r.mode]], "no payout yet"),
  recent: (rows) => table(rows, [["payment", (r) => link(r.payment_id)], ["merchant", (r) => id(r.merchant_id)], ["status", (r) => status(r.status)], ["requested", (r) => r.requested_decimal, true], ["captured", (r) => r.captured_decimal, true], ["", (r) => r.currency], ["changed", (r) => clock(r.updated_at)]], "no payment yet"),
  dead_letters: (rows) => table(rows, [["given up by", (r) => r.source_app], ["reason", (r) => r.reason_code], ["records", (r) => count(r.records), true], ["newest", (r) => r.newest]], "none"),
};

function show(picture) {
  at("tiles").replaceChildren(...tiles(picture.sections));
  for (const [name, render] of Object.entries(draw)) {
    const section = picture.sections[name] ?? { error: "not asked yet" };
    at(name).replaceChildren(section.error ? make("p", { class: "away" }, section.error) : render(section.rows));
  }
  const stale = Date.now() - picture.taken_at_ms > STALE_MS;
  at("taken").textContent = picture.taken_at_ms ? `${stale ? "no news since" : "as of"} ${clock(picture.taken_at_ms)}` : "asking the parts…";
  at("taken").className = stale ? "stale" : "";
}

async function refresh() {
  try {
    if (!at("overview").hidden) show(await (await fetch("/api/overview")).json());
  } catch {
    at("taken").textContent = "the console does not answer";
    at("taken").className = "stale";
  }
  setTimeout(refresh, REFRESH_MS);
}

// Times of a payment's story in UTC, ids small.
function plain(value) {
  const time = /^(\d{4}-\d\d-\d\d)T([\d:.]+)\+00:00$/.exec(value);
  if (time) return `${time[1]} ${time[2]}`;
  return /^(cmd|we|po|pay|mer)_/.test(value) ? id(value) : value;
}

async function explain(payment) {
  at("taken").textContent = "times in UTC";
  const answer = await fetch(`/api/payments/${encodeURIComponent(payment)}`);
  const story = await answer.json();
  const part = (title, content) => make("section", { class: "wide" }, make("h2", {}, title), content);
  const back = make("section", { class: "wide" }, make("a", { href: "#" }, "← all payments"), " ", id(payment));
  if (story.error) return at("payment").replaceChildren(back, part("Not found", make("p", { class: "away" }, story.error)));
  const any = (rows, none) => table(rows, Object.keys(rows[0] ?? {}).map((name) => [name.replace("_decimal", "").replaceAll("_", " "), (r) => plain(r[name]), name.includes("decimal")]), none);
  at("payment").replaceChildren(back, part("Events", any(story.events, "")), part("Ledger entries", any(story.ledger, "none")),
    part("Webhook attempts", any(story.webhooks, "none yet")), part("Payouts", any(story.payouts, "in no payout yet")));
}

function route() {
  const payment = decodeURIComponent(location.hash.slice(1));
  at("overview").hidden = Boolean(payment);
  at("payment").hidden = !payment;
  if (payment) explain(payment);
}

at("find").addEventListener("submit", (event) => { event.preventDefault(); location.hash = new FormData(event.target).get("id").trim(); });
addEventListener("hashchange", route);
route();
refresh();
