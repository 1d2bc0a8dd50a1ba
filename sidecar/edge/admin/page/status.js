/* The status page: asks the JSON interface every two seconds and shows what it says.
   Everything that comes from there is set as text of a node, never as markup; there is no other way in this file. */

const EVERY = 2000; // ms between two rounds
const PATIENCE = 5000; // ms until an answer counts as none
const POLICY_EVERY = 30; // rounds after which the policy is read again although its revision is the same
const TOKEN = "vx11-admin-token";
const MOST_ROWS = 400;

const $ = (id) => document.getElementById(id);

// -- nodes ---------------------------------------------------------------------------------------

function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Set text only where it changes: a screen reader is told of changes, and a selection survives the rest. */
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Shapes that differ without their colour. */
const SHAPES = {
  good: "M12 1.5a10.5 10.5 0 1 0 0 21 10.5 10.5 0 0 0 0-21Zm-1.7 15.3-4.7-4.7 1.9-1.9 2.8 2.8 6.3-6.4 1.9 1.9Z",
  warn: "M12 1.6 .9 21.4h22.2ZM10.7 8.6h2.6v6.6h-2.6Zm0 8.2h2.6v2.5h-2.6Z",
  bad: "M7.6 1.5h8.8l6.1 6.1v8.8l-6.1 6.1H7.6l-6.1-6.1V7.6Zm8.8 13-2.5-2.5 2.5-2.5-1.9-1.9-2.5 2.5-2.5-2.5-1.9 1.9 2.5 2.5-2.5 2.5 1.9 1.9 2.5-2.5 2.5 2.5Z",
  calm: "M12 1.5a10.5 10.5 0 1 0 0 21 10.5 10.5 0 0 0 0-21Zm0 2.7a7.8 7.8 0 1 1 0 15.6 7.8 7.8 0 0 1 0-15.6Z",
};

function icon(tone) {
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, svg("path", { d: SHAPES[tone], fill: "currentColor", "fill-rule": "evenodd" }));
}

function sign(node, tone) {
  if (node.dataset.shape === tone) return;
  node.dataset.shape = tone;
  node.replaceChildren(icon(tone));
}

// -- words ---------------------------------------------------------------------------------------

function span(seconds) {
  const whole = Math.floor(seconds);
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

const took = (seconds) => (seconds === null ? "–" : seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(2)} s`);
const share = (value) => `${Math.round(value * 1000) / 10} %`;
const many = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const number = (value) => String(Math.round(value * 10) / 10);
const clock = (secondsAgo) => new Date(Date.now() - secondsAgo * 1000).toLocaleTimeString("en-GB");

const STATES = {
  closed: ["good", "closed", "everybody passes"],
  open: ["bad", "open", "nobody is let through"],
  half_open: ["warn", "half-open", "one chat at a time finds out whether it is back"],
  forced_open: ["bad", "held open", "an operator lets nobody through"],
  forced_closed: ["warn", "held closed", "an operator lets everybody through, whatever happens"],
};
const MOVES = {
  failure_rate: "too many failures", consecutive: "too many failures in a row", slow_rate: "too many slow calls", probe_failed: "the probe failed",
  recovered: "probes succeeded", timer: "its time was over", window_opened: "its power window opened", health: "its health probes succeed again", override: "an override", override_ended: "an override ended",
};
const HEALTH = { up: "health probes are good", down: "down by its health probes: not asked", unknown: "health not known: asked as if it were well" };
const OUTCOMES = {
  primary: "good", fallback: "warn", local: "bad", failed: "bad", client_gone: "calm",
};
const KINDS = { off: "is not asked", forced_open: "breaker held open", forced_closed: "breaker held closed" };

const known = (table, word, otherwise) => (Object.hasOwn(table, word) ? table[word] : otherwise);

// -- asking --------------------------------------------------------------------------------------

class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

let memory = null; // the token, where the browser allows no storage

function token() {
  try { return sessionStorage.getItem(TOKEN) ?? memory; } catch { return memory; }
}

function keep(value) {
  memory = value;
  try {
    if (value === null) sessionStorage.removeItem(TOKEN);
    else sessionStorage.setItem(TOKEN, value);
  } catch { /* memory will do */ }
}

async function ask(path) {
  const offered = token();
  const headers = offered === null ? {} : { "X-VX11-Admin-Token": offered };
  const answer = await fetch(path, { headers, signal: AbortSignal.timeout(PATIENCE), cache: "no-store", credentials: "omit", redirect: "error" });
  const body = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, String(body.detail));
  return body;
}

// -- the rounds ----------------------------------------------------------------------------------

let seen = null; // the last whole round: {state, calls, trend, at}
let policy = { revision: null, age: 0 };
let timer = 0;
let asking = false;

async function round() {
  if (asking || document.hidden) return;
  asking = true;
  clearTimeout(timer);
  try {
    const state = await ask("state"); // first and alone: where it is refused the others would be, too
    const [calls, trend] = await Promise.all([ask("calls"), ask("trend")]);
    if (state.policy.revision !== policy.revision || ++policy.age >= POLICY_EVERY) {
      policy = { revision: state.policy.revision, age: 0, values: (await ask("policy")).values };
      showPolicy();
    }
    seen = { state, calls, trend, at: performance.now() };
    view("live");
    show();
  } catch (error) {
    if (error instanceof Refused && (error.status === 401 || error.status === 403)) gate(error);
    else silent(error);
  } finally {
    asking = false;
    timer = setTimeout(round, EVERY);
  }
}

function view(name) {
  if (document.body.dataset.view === name) return;
  document.body.dataset.view = name;
  $("gate").hidden = name !== "gate";
  $("forget").hidden = token() === null;
}

function gate(error) {
  seen = null;
  const tried = token() !== null;
  put($("gate-why"), error.status === 401 ? "This port can be reached from other machines, so it wants the admin token."
    : tried ? `That token does not pass (${error.message}).` : `Refused: ${error.message}.`);
  put($("pulse"), "admin token wanted");
  document.title = "Token wanted · VX11 sidecar";
  if (tried && error.status === 403) keep(null);
  view("gate");
}

function silent(error) {
  const refused = error instanceof Refused;
  view("silent");
  const since = seen ? ` since ${clock(age())}; what stands below is from then` : "";
  headline("bad", refused ? "Fault" : "No answer", refused ? "The sidecar cannot say how it is" : "The sidecar does not answer");
  put($("reason"), refused ? `It answered ${error.status}: ${error.message}.` : `Nothing heard on this address${since}.`);
  put($("since"), "");
  put($("tried"), "");
  delete $("todo").dataset.reason;
  $("todo").replaceChildren("Look whether the process runs and whether its port can be reached: ", h("code", {}, "sidecar status"), " on its machine, its log, the container.");
  put($("pulse"), refused ? "a fault" : "no answer");
}

/** Seconds since what is shown was so. */
const age = () => (performance.now() - seen.at) / 1000;

// -- showing: what is asked first ----------------------------------------------------------------

function show() {
  const { state, calls, trend } = seen;
  put($("about"), `in front of ${state.gateway} · version ${state.version} · policy ${state.policy.revision} from ${state.policy.source.split("/").at(-1)} · ${many(state.connections, "connection")}`);
  showAnswer(state, calls.degraded[0]);
  showWarnings(state);
  showTargets(state);
  showTrend(trend, state.policy);
  showCalls($("degraded"), calls.degraded, state.policy.deadline_seconds);
  showCalls($("last"), calls.last, state.policy.deadline_seconds);
  $("calls-none").hidden = calls.degraded.length > 0;
  showOverrides(state.overrides);
  showWorkers(state.workers ?? []);
  showCandidate(state.shadow);
  tick();
}

function headline(tone, word, text) {
  $("answer").dataset.tone = tone;
  sign($("sign"), tone);
  put($("word"), word);
  put($("headline"), text);
  document.title = `${word}: ${text} · VX11 sidecar`;
}

function showAnswer(state, last) {
  const answering = state.answering;
  const primary = Object.keys(state.targets)[0] ?? "local";
  if (state.status !== "serving") headline("warn", "Not ready", `The sidecar is ${state.status}`);
  else if (state.policy.mode === "off") headline("calm", "Mode off", "Chat is relayed to the gateway like everything else");
  else if (state.policy.mode === "shadow") headline("calm", "Mode shadow", "The gateway answers chat, the sidecar only looks on");
  else if (answering === null) headline("calm", "No chat yet", `Waiting for the first chat; ${primary} is asked first`);
  else if (answering.provider === null) headline("bad", "Failing", "Nobody answers: chats get a 503");
  else if (!answering.degraded) headline("good", "Normal", `${answering.provider} answers`);
  else if (answering.provider === "local") headline("bad", "Degraded", "No target answers: users get the local text");
  else if (answering.provider === primary) headline("warn", "Degraded", `${primary} answers, but not in full`);
  else headline("warn", "Degraded", `${answering.provider} answers instead of ${primary}`);
  const why = answering && answering.degraded && state.policy.mode === "enforce" ? answering.first_reason ?? answering.reason : null;
  const subject = why === "waiting" ? answering.provider : primary;
  $("reason").replaceChildren(...(why === null ? [] : [h("strong", {}, `${subject}: ${why}.`), ` ${answering.means ?? ""}`]));
  put($("tried"), why !== null && last ? `Last one: ${path(last)}.` : "");
  const todo = $("todo");
  if (todo.dataset.reason === String(why)) return; // a link that has the focus stays
  todo.dataset.reason = String(why);
  todo.replaceChildren(...(why === null ? [] : [h("strong", {}, "What to do: "), `${answering.do ?? ""} `, h("a", { href: `#reason-${encodeURIComponent(why)}` }, `Runbook: ${why}`)]));
}

function showWarnings(state) {
  const problems = state.policy_problems.map((text) => ["Policy files cannot be used, the one before stays in force: ", text]);
  const chaos = state.chaos?.active ?? false;
  $("warnings").classList.toggle("chaos", chaos);
  put($("warnings-title"), chaos ? "Chaos is on: attempts on targets are broken on purpose" : "Warnings");
  const notes = state.notes.map((text) => ["Note: ", text]);
  const all = [...problems, ...notes];
  const told = JSON.stringify(all);
  const list = $("warnings-list");
  $("warnings").hidden = all.length === 0;
  if (list.dataset.told === told) return;
  list.dataset.told = told;
  list.replaceChildren(...all.map(([kind, text]) => h("li", {}, h("strong", {}, kind), text)));
}

// -- targets -------------------------------------------------------------------------------------

const cards = new Map();

function card(name) {
  const part = (tag, kind) => h(tag, { class: kind });
  const parts = { role: h("small"), place: part("p", "place mono"), state: part("div", "state"), sign: h("span"), word: h("b"), probe: part("span", "probe"),
    tell: part("span", "tell"), gauges: part("dl", "gauges"), also: part("p", "also"), rows: new Map() };
  parts.state.append(parts.sign, h("span", {}, "Breaker ", parts.word), parts.probe, parts.tell);
  parts.node = h("article", { class: "card target", "data-target": name }, h("h3", {}, name, " ", parts.role), parts.place, parts.state, parts.gauges, parts.also);
  return parts;
}

function gauge(parts, name, filled, text) {
  let row = parts.rows.get(name);
  if (!row) {
    row = { fill: h("span"), bar: h("dd", { class: "bar", "aria-hidden": "true" }), text: h("dd", { class: "figure" }) };
    row.bar.append(row.fill);
    parts.gauges.append(h("div", {}, h("dt", {}, name), row.bar, row.text));
    parts.rows.set(name, row);
  }
  const level = Math.max(0, Math.min(filled, 1));
  row.fill.style.setProperty("--fill", `${level * 100}%`);
  row.bar.className = `bar${level >= 1 ? " full" : level >= 0.66 ? " near" : ""}`;
  put(row.text, text);
}

const part = ([have, most]) => (most > 0 ? have / most : 0);

function showTargets(state) {
  const names = Object.keys(state.targets);
  if (names.join() !== [...cards.keys()].join()) {
    cards.clear();
    for (const name of names) cards.set(name, card(name));
    $("targets").replaceChildren(...[...cards.values()].map((parts) => parts.node));
  }
  names.forEach((name, depth) => showTarget(cards.get(name), name, depth, state));
}

function showTarget(parts, name, depth, state) {
  const { breaker, limiter, retry_budget: budget, ...rest } = state.targets[name];
  const [tone, word, meaning] = known(STATES, breaker.state, ["calm", breaker.state, ""]);
  const move = state.breaker_moves[name];
  put(parts.role, [depth ? `fallback ${depth}` : "primary", rest.dormant ? "dormant by power policy" : "", rest.off ? "switched off by override" : "", rest.health?.state === "down" ? "down by its health probes" : ""].filter(Boolean).join(" · "));
  put(parts.place, state.destinations[name] ?? "");
  parts.state.dataset.tone = tone;
  sign(parts.sign, tone);
  put(parts.word, word);
  put(parts.tell, move ? `since ${clock(move.seconds_ago)}: ${known(MOVES, move.why, move.why)}; ${meaning}` : `${meaning}, since the start`);
  const [bad, most] = breaker.failures_in_row;
  gauge(parts, "Failures in a row", part([bad, most]), most ? `${bad}, trips at ${most}` : `${bad}, never trips`);
  const few = breaker.calls < breaker.min_calls ? ` · ${breaker.calls} of ${breaker.min_calls} calls` : ` · ${many(breaker.calls, "call")}`;
  for (const [label, rate] of [["Failure rate", breaker.failure_rate], ["Slow calls", breaker.slow_rate]]) {
    gauge(parts, label, part(rate), `${share(rate[0])}, trips at ${share(rate[1])}${label === "Failure rate" ? few : ""}`);
  }
  gauge(parts, "Good probes", breaker.state === "half_open" ? part(breaker.good_probes) : 0, breaker.state === "half_open" ? `${breaker.good_probes[0]} of ${breaker.good_probes[1]}` : `closes after ${breaker.good_probes[1]}`);
  gauge(parts, "Slots", part(limiter.in_flight), `${limiter.in_flight[0]} of ${limiter.in_flight[1]} in use${moving(limiter)}`);
  gauge(parts, "Queue", part(limiter.queued), `${limiter.queued[0]} of ${limiter.queued[1]} waiting`);
  gauge(parts, "Retry budget", 0, `${number(budget[0])} of ${number(budget[1])} left`);
  parts.rows.get("Retry budget").fill.style.setProperty("--fill", `${part(budget) * 100}%`);
  const health = rest.health ?? null;
  if (health) gauge(parts, "Health", part(health.failures_in_row), `${known(HEALTH, health.state, health.state)}; ${many(health.failures_in_row[0], "failed probe")} in a row, ${health.failures_in_row[1]} take it away`);
  else if (parts.rows.has("Health")) { parts.rows.get("Health").bar.parentNode.remove(); parts.rows.delete("Health"); }
  const p95 = rest.latency_p95_seconds === null ? "p95 not known before 20 answers" : `p95 ${took(rest.latency_p95_seconds)}`;
  put(parts.also, depth ? `${p95} · the targets above leave it ${took(rest.reserve_seconds)}` : p95);
}

// What moves the slots, where something does.
function moving({ adaptive, slow_start_seconds_left: left }) {
  const found = adaptive ? ` · adaptive, ${adaptive.bounds[0]} to ${adaptive.bounds[1]}` : "";
  return left === undefined ? found : `${found} · slow start, all in ${took(left)}`;
}

// -- trend ---------------------------------------------------------------------------------------

const HEIGHT = 100;

function showTrend(trend, limits) {
  const { calls, degraded, p50_seconds: median, p95_seconds: high, whole } = trend;
  const bad = whole.calls ? whole.degraded / whole.calls : 0;
  put($("trend-whole"), whole.calls ? `${many(whole.calls, "chat")}, ${share(bad)} degraded; half of them took at most ${took(whole.p50_seconds)}, 95 % at most ${took(whole.p95_seconds)}` : "No chats.");
  const objective = limits.latency_objective_seconds;
  const most = Math.max(objective * 1.25, ...high.map((value) => (value ?? 0) * 1.08));
  const width = calls.length * 3;
  const y = (value) => HEIGHT - (value / most) * HEIGHT;
  const bars = [svg("line", { class: "limit", x1: 0, x2: width, y1: y(objective), y2: y(objective), "vector-effect": "non-scaling-stroke" })];
  const shares = [];
  calls.forEach((count, step) => {
    if (!count) return;
    const x = step * 3;
    const top = y(high[step]);
    bars.push(svg("rect", { class: "span", x, width: 2.4, y: top, height: Math.max(y(median[step]) - top, 2) }));
    bars.push(svg("rect", { class: "mark", x, width: 2.4, y: Math.min(y(median[step]), HEIGHT - 3), height: 3 }));
    const tall = (degraded[step] / count) * HEIGHT;
    shares.push(tall ? svg("rect", { class: "part", x, width: 2.4, y: HEIGHT - tall, height: tall }) : svg("rect", { class: "none", x, width: 2.4, y: HEIGHT - 4, height: 4 }));
  });
  for (const [id, drawn] of [["latency", bars], ["share", shares]]) {
    $(id).setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    $(id).setAttribute("preserveAspectRatio", "none");
    $(id).replaceChildren(...drawn);
  }
  put($("latency-most"), `to ${took(most)}; dashed: objective ${took(objective)}`);
}

// -- calls ---------------------------------------------------------------------------------------

const lines = new WeakMap(); // of each list: number of a call → its line

function showCalls(list, calls, deadline) {
  const before = lines.get(list) ?? new Map();
  const now = new Map(calls.map((call) => [call.call, before.get(call.call) ?? line(call)]));
  for (const call of calls) now.get(call.call).call = call;
  lines.set(list, now);
  const most = Math.max(deadline, ...calls.map((call) => call.seconds));
  [...now.values()].forEach((entry, place) => {
    if (list.children[place] !== entry.node) list.insertBefore(entry.node, list.children[place] ?? null);
    if (entry.most !== most) draw(entry.track, entry.call, (entry.most = most));
  });
  while (list.children.length > now.size) list.lastElementChild.remove();
}

function line(call) {
  const tone = known(OUTCOMES, call.outcome, "calm");
  const entry = { call, ago: h("span", { class: "ago muted" }), track: svg("svg", { class: "track", "aria-hidden": "true" }), most: 0 };
  const who = call.provider ?? known({ failed: "no answer", client_gone: "client left" }, call.outcome, call.outcome);
  const why = call.first_reason ?? call.reason;
  entry.node = h("li", {}, h("details", {},
    h("summary", {}, entry.ago, h("span", { class: "who", "data-tone": tone }, icon(tone), who), h("span", { class: "why" }, why ?? "–"), h("span", { class: "took" }, took(call.seconds)), entry.track,
      h("span", { class: "path" }, path(call))),
    h("div", { class: "inside" }, inside(call))));
  return entry;
}

const WELL = ["success", "degraded"];

/** How an attempt ended. An HTTP status alone would not tell: errors come with 200, too. */
function ended(attempt) {
  const { result, verdict, seconds } = attempt;
  if (result === null) return "client left";
  const failed = result.startsWith("HTTP") && !WELL.includes(verdict);
  return `${failed ? `${verdict === "misconfigured" ? verdict : "failed"}, ` : ""}${result} after ${took(seconds)}`;
}

/** All that was tried, in order, as a sentence. */
function path(call) {
  const tried = call.attempts.map((each) => [each.after_seconds, `${each.target}: ${ended(each)}`]);
  const not = call.not_asked.map((each) => [each.after_seconds, `${each.target}: not asked (${each.reason})`]);
  const waits = call.waits.map((each) => [each.after_seconds, `wait ${took(each.seconds)}`]);
  const steps = [...not, ...tried, ...waits].sort((one, other) => one[0] - other[0]).map(([, text]) => text);
  if (call.provider === "local") steps.push("local text");
  return steps.join(" → ");
}

function inside(call) {
  const head = ["Attempt at", "Begun after", "Took", "Allowed", "Result", "Means"];
  const rows = call.attempts.map((each) => [each.target, took(each.after_seconds), took(each.seconds), took(each.timeout), each.result ?? "client left", each.verdict ?? "–"]);
  const table = h("table", {}, h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((text, column) => h("td", { "data-label": head[column] }, text))))));
  return h("div", {}, rows.length ? table : h("p", {}, "No target was asked."), h("p", { class: "muted" }, "Status ", String(call.status), ", correlation id ", h("code", {}, call.correlation_id), "; every fact of it: ", h("code", {}, `GET /calls/${call.correlation_id}`)));
}

/** Bars on the clock of the chat: plain where the target answered, hatched where it failed, a stroke where it was not asked. */
function draw(track, call, most) {
  const at = (seconds) => `${(Math.min(seconds / most, 1) * 100).toFixed(2)}%`;
  const bars = call.attempts.map((each) => {
    const well = WELL.includes(each.verdict);
    const length = each.seconds ?? Math.max(call.seconds - each.after_seconds, 0);
    const bar = svg("rect", { class: well ? "ok" : "bad", x: at(each.after_seconds), y: 2, width: at(Math.max(length, most * 0.01)), height: 10 });
    if (!well) bar.setAttribute("fill", "url(#hatch)");
    return bar;
  });
  const refused = call.not_asked.map((each) => svg("rect", { class: "out", x: at(each.after_seconds), y: 0, width: 3, height: 14 }));
  track.replaceChildren(...bars, ...refused);
}

// -- overrides -----------------------------------------------------------------------------------

function showOverrides(overrides) {
  $("overrides-none").hidden = overrides.length > 0;
  $("overrides").replaceChildren(...overrides.map((each) => h("li", {}, h("strong", {}, `${each.target}: ${known(KINDS, each.kind, each.kind)}`),
    ` (${each.kind}) for another ${span(Math.max(each.seconds_left, 0))}, by `, h("strong", { class: "author" }, each.author), ": ", h("span", { class: "told" }, each.reason))));
}

const QUOTED = (order) => `'${JSON.stringify(order)}'`;
put($("command"), ["", "/release"].map((path) => `curl -s -X POST ${location.origin}/overrides${path} -H "X-VX11-Admin-Token: $TOKEN" \\\n     -d `
  + QUOTED(path ? { target: "switch" } : { target: "switch", kind: "off", author: "you", reason: "moving it", ttl: "10m" })).join("\n\n"));

// -- workers, where there are several ---------------------------------------------------------------

function showWorkers(workers) {
  $("crew").hidden = workers.length === 0;
  $("workers").replaceChildren(...workers.map((each) => h("li", {}, h("strong", {}, `Worker ${each.worker}`),
    ` ${each.status} for ${span(each.up_seconds)} · ${many(each.connections, "connection")} · ${Object.entries(each.breakers).map(([name, state]) => `${name} ${state}`).join(", ")} · pid ${each.pid}`)));
}

// -- the candidate of --shadow --------------------------------------------------------------------

function showCandidate(shadow) {
  $("candidate").hidden = !shadow || shadow.calls === undefined; // after a fault there is a warning
  if ($("candidate").hidden) return;
  const undecided = Object.values(shadow.undecided).reduce((sum, count) => sum + count, 0);
  put($("candidate-lead"), `${shadow.revision} from ${shadow.source.split("/").at(-1)}, for ${span(shadow.for_seconds)}: of ${many(shadow.calls, "chat")} ${shadow.agrees} would have ended alike, ${undecided} are not decided to their end.`);
  const ends = Object.entries(shadow.differs).flatMap(([active, by]) => Object.entries(by).map(([candidate, count]) => [active, candidate, count]));
  $("candidate-ends").replaceChildren(...ends.map(([active, candidate, count]) => h("li", {}, h("strong", {}, String(count)), ` ended ${active} and would have ended ${candidate}`)));
}

// -- policy --------------------------------------------------------------------------------------

const written = (value) => (value === null ? "none" : Array.isArray(value) ? (value.length ? value.map(String).join(", ") : "[]") : typeof value === "object" ? "{}" : String(value));

/** The folder that all these places have in common, with its slash; "" for none. */
function folder(places) {
  const parts = places.map((place) => place.split("/").slice(0, -1));
  const depth = parts.length ? parts[0].findIndex((name, index) => parts.some((other) => other[index] !== name)) : 0;
  const shared = parts.length ? (depth < 0 ? parts[0] : parts[0].slice(0, depth)) : [];
  return shared.length ? `${shared.join("/")}/` : "";
}

function showPolicy() {
  const all = Object.entries(policy.values).map(([field, { value, origin, changed }]) => ({ field, value: written(value), origin: origin ?? "built in", stated: origin !== null, changed }));
  all.sort((one, other) => other.changed - one.changed || other.stated - one.stated);
  const wanted = $("find").value.trim().toLowerCase();
  const rows = all.filter((row) => (wanted || $("all").checked || row.changed) && `${row.field}\n${row.value}\n${row.origin}`.toLowerCase().includes(wanted));
  const base = folder(all.filter((row) => row.stated).map((row) => row.origin));
  const names = Object.entries(policy.values).filter(([field]) => /^targets\[\d+\]\.name$/.test(field)).map(([, { value }]) => String(value));
  const whose = (field) => names[field.match(/^targets\[(\d+)\]/)?.[1] ?? -1] ?? null;
  const cell = (...content) => h("td", { role: "cell" }, ...content);
  $("values").replaceChildren(...rows.slice(0, MOST_ROWS).map((row) => h("tr", { role: "row", class: row.changed ? "changed" : "same" },
    cell(h("code", {}, row.field), whose(row.field) ? h("span", { class: "whose muted" }, ` ${whose(row.field)}`) : null, row.changed ? " " : null, row.changed ? h("span", { class: "badge" }, "changed") : null), cell(h("code", {}, row.value)), cell(h("span", { class: row.stated ? "mono" : "muted" }, row.stated ? row.origin.slice(base.length) : row.origin)))));
  const changed = all.filter((row) => row.changed).length;
  put($("policy-lead"), `Revision ${policy.revision}. ${changed ? `${many(changed, "value")} differ from what is built in` : "Nothing differs from what is built in"}; ${all.length} in all.${base ? ` Files are in ${base}` : ""}`);
  put($("found"), `${Math.min(rows.length, MOST_ROWS)} of ${all.length} shown`);
  $("policy").hidden = rows.length === 0;
}

for (const id of ["find", "all"]) $(id).addEventListener("input", () => policy.values && showPolicy());

// -- what moves between two rounds ---------------------------------------------------------------

function tick() {
  if (!seen || document.body.dataset.view !== "live") return;
  const passed = age();
  const { state } = seen;
  put($("pulse"), `live · up ${span(state.up_seconds + passed).replace(/\.\d/, "")}`);
  for (const [name, parts] of cards) {
    const due = state.targets[name].breaker.probe_in_seconds;
    put(parts.probe, due === null ? "" : due - passed > 0 ? `next probe in ${Math.ceil(due - passed)} s` : "next chat probes");
  }
  for (const list of [$("degraded"), $("last")]) for (const { ago, call } of (lines.get(list) ?? new Map()).values()) put(ago, `${span(call.seconds_ago + passed).replace(/\.\d/, "")} ago`);
  showSince(state.answering, passed);
}

function showSince(answering, passed) {
  if (!answering) return put($("since"), "");
  const last = `last chat ${span(answering.seconds_ago + passed).replace(/\.\d/, "")} ago`;
  if (answering.degraded_for_seconds === null) return put($("since"), last);
  const lasts = answering.degraded_for_seconds + passed;
  const texts = [`since ${clock(lasts)}`, last];
  const node = $("since");
  if (node.childElementCount !== 2) node.replaceChildren(h("strong"), "", h("br"), "");
  put(node.firstElementChild, `for ${span(lasts).replace(/\.\d/, "")}`);
  node.childNodes[1].data = texts[0];
  node.childNodes[3].data = texts[1];
}

// -- listening -----------------------------------------------------------------------------------

$("gate-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const value = $("token").value.trim();
  $("token").value = "";
  if (!/^[!-~][ -~]*$/.test(value)) return put($("gate-why"), "A token is one line of printable ASCII characters.");
  keep(value);
  round();
});
$("forget").addEventListener("click", () => {
  keep(null);
  document.body.dataset.view = "loading";
  round();
});
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : round()));
setInterval(tick, 500);
round();
