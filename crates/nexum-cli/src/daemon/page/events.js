// The last events of a module as a waterfall: how long each waited, ran and committed.
//
// The rows come from the ledger of the daemon. Without one, they are the events that the page has seen itself.

import { get } from "./api.js";
import { fill, h, keyed, text, time } from "./dom.js";
import { clock, count, counted, kindOf, micros, percent, placeOf, words } from "./format.js";
import { reason } from "./parts.js";
import { View, state } from "./state.js";

/** How often the page reads the ledger, and how long it waits after a failure. */
const READ_EVERY_MS = 4_000;
const FAILED_MS = 30_000;

/** The events on the page. */
const EVENTS_MAX = 40;

/** The host calls of an attempt on the page. */
const CALLS_MAX = 100;

/** Outcomes that need no color. */
const GOOD = new Set(["handled", "ok"]);

/** Whether this daemon has a ledger: an older one has no such path. */
let hasLedger = true;

class Events extends View {
  #history = null;
  #failure = null;
  #readAt = 0;
  #open = null;

  build() {
    this.note = h("p.quiet");
    this.legend = h(
      "p.legend",
      ...["waited", "ran", "committed"].map((part) => h("span", { "data-part": part }, part)),
    );
    this.list = h("ol.waterfall");
    this.replaceChildren(this.note, this.legend, this.list);
  }

  refresh() {
    // The daemon may not have such a module.
    if (state.module(this.dataset.name)?.events == null) return;
    this.#read();
    const all = hasLedger && this.#history != null ? this.#history.handlings.map(ofLedger) : this.#seen();
    const rows = all.slice(0, EVENTS_MAX);
    const longest = Math.max(...rows.map((row) => row.total ?? 0), 1);
    text(this.note, this.#about(rows.length));
    this.legend.hidden = rows.length === 0;
    keyed(
      this.list,
      rows,
      (row) => row.key,
      (row) => this.#make(row),
      (element, row) => fillRow(element, row, longest),
    );
  }

  #about(number) {
    if (!hasLedger) {
      return number === 0
        ? "This daemon keeps no ledger, and no event has arrived since this page is open."
        : "This daemon keeps no ledger. These are the events since this page is open, with the time of the handler.";
    }
    if (this.#failure != null) return `The ledger cannot be read: ${this.#failure.message}`;
    if (this.#history == null) return "Reading the ledger...";
    const begin = this.#history.begins_ms == null ? "" : ` The ledger begins at ${clock(this.#history.begins_ms)}.`;
    return (
      (number === 0 ? "The ledger has no event of this module." : "The newest first. Open one to see more.") + begin
    );
  }

  async #read() {
    if (!hasLedger || Date.now() - this.#readAt < READ_EVERY_MS) return;
    this.#readAt = Date.now();
    try {
      this.#history = await get(`/v1/modules/${encodeURIComponent(this.dataset.name)}/history?limit=${EVENTS_MAX}`);
      this.#failure = null;
    } catch (error) {
      if (error.code === "path-not-found") hasLedger = false;
      this.#readAt = Date.now() + FAILED_MS;
      this.#failure = error;
    }
    if (this.isConnected) this.refresh();
  }

  /** The events that the page has seen, newest first. */
  #seen() {
    const rows = new Map();
    for (const event of state.past(this.dataset.name).events) {
      // The last outcome of an event, at its place.
      rows.delete(event.event);
      rows.set(event.event, ofStream(event));
    }
    return [...rows.values()].reverse();
  }

  #make(row) {
    const bar = h("span.bar", ...["waited", "ran", "committed"].map((part) => h("i", { "data-part": part })));
    const parts = [h("span.when"), h("code"), h("span.outcome"), bar, h("span.number")];
    const details = h("details", h("summary", ...parts));
    details.addEventListener("toggle", () => details.open && this.#explain(details));
    return h("li", details);
  }

  async #explain(details) {
    const { row } = details;
    const place = details.querySelector(".explained") ?? details.appendChild(h("div.explained"));
    if (!hasLedger) {
      fill(
        place,
        row.error == null ? h("p", `The module handled the event in ${micros(row.ran)}.`) : reason(row.error),
      );
      return;
    }
    if (place.childNodes.length > 0) return;
    try {
      // Several modules handle an event, and one module several events of a block.
      const of = row.block == null ? row.event : `${this.dataset.name}@${row.block}`;
      const answer = await get(`/v1/explain?of=${encodeURIComponent(of)}`);
      fill(place, ...explained(answer, row));
    } catch (error) {
      fill(place, h("p", `The ledger cannot say more: ${error.message}`));
    }
  }
}

function ofLedger(handling) {
  const { event, block, outcome, error, attempts, begun_ms: at, ended_ms, committed_ms } = handling;
  const committed = committed_ms == null ? 0 : Math.max(0, committed_ms - ended_ms) * 1_000;
  const times = { waited: handling.waited_us ?? 0, ran: handling.took_us, committed };
  // The number of a row changes with each attempt.
  return rowOf(`${event}/${at}`, { event, block, at, outcome, error, attempts, ...times });
}

function ofStream({ seq, at_ms: at, kind: outcome, event, attempt, took_us, text: error }) {
  const times = { waited: 0, ran: took_us ?? null, committed: 0 };
  return rowOf(seq, { event: event ?? "init", at, outcome, error, attempts: attempt ?? 1, ...times });
}

function rowOf(key, row) {
  return { key, ...row, total: row.ran == null ? null : row.waited + row.ran + row.committed };
}

function fillRow(element, row, longest) {
  const details = element.firstChild;
  details.row = row;
  const [when, id, outcome, bar, total] = details.firstChild.children;
  fill(when, time(row.at));
  text(id, `${placeOf(row.event)} ${kindOf(row.event)}`);
  const attempts = row.attempts > 1 ? `, ${row.attempts} attempts` : "";
  text(outcome, words(row.outcome) + attempts);
  outcome.className = GOOD.has(row.outcome) ? "outcome state" : "outcome state mild";
  for (const part of bar.children) part.style.setProperty("--share", (row[part.dataset.part] ?? 0) / longest);
  text(total, micros(row.total));
}

/** What the ledger says of an event of this module. */
function explained(answer, { event }) {
  const parts = [h("p", answer.summary)];
  const handling = answer.handlings.find((one) => one.event === event);
  if (handling == null) return parts;
  const { endpoint, pushed, matched, waits, commit, reverted_ms } = handling;
  const facts = [
    endpoint != null && `Seen from ${endpoint}, ${pushed ? "pushed" : "polled"}.`,
    matched.length > 0 && `Matched ${matched.join(", ")}.`,
    ...waits.map((wait) => `Waited ${micros(wait.took_us)} for ${wait.for}.`),
    commit != null && `Committed in ${micros(commit.took_us)}, in a group of ${count(commit.group)}.`,
    reverted_ms != null && `Reverted at ${clock(reverted_ms)}.`,
  ];
  parts.push(h("p.quiet", facts.filter(Boolean).join(" ")), ...handling.runs.flatMap(attempt));
  parts.push(...answer.hints.map((hint) => h("p", hint)));
  return parts;
}

/** An attempt with its host calls, each at its time from the start. */
function attempt(run) {
  const calls = run.calls.slice(0, CALLS_MAX);
  const whole = Math.max(run.took_us, ...calls.map((call) => call.start_us + call.took_us), 1);
  const line = (call) => {
    const bar = h("i", { "data-part": "ran" });
    bar.style.setProperty("--start", call.start_us / whole);
    bar.style.setProperty("--share", call.took_us / whole);
    const name = `${call.kind} ${call.method}${call.count > 1 ? ` x ${call.count}` : ""}`;
    const outcome = call.error == null ? h("span.state", "ok") : h("span.state.mild", call.error);
    return h("li", h("code", name), outcome, h("span.bar", bar), h("span.number", micros(call.took_us)));
  };
  const left = run.calls.length - calls.length + run.calls_left_out;
  const time = run.time.map(({ kind, share }) => `${words(kind)} ${percent(share)}`).join(", ");
  const written = run.writes.map(({ key }) => key).join(", ");
  return [
    h("h3", `Attempt ${run.attempt}: ${run.error == null ? "ok" : "failed"}, ${micros(run.took_us)}`),
    run.error != null && reason(run.error),
    time !== "" && h("p.quiet", `Time: ${time}.`),
    calls.length > 0
      ? h("ol.calls", ...calls.map(line))
      : !run.is_detailed &&
        h("p.quiet", "The ledger has no host calls of this attempt. [ledger] calls selects the attempts."),
    left > 0 && h("p.quiet", `${counted(left, "call")} left out.`),
    run.records.length > 0 && h("pre", run.records.join("\n")),
    written !== "" &&
      h("p.quiet", `Wrote ${written}${run.writes_left_out > 0 ? `, and ${count(run.writes_left_out)} more` : ""}.`),
  ];
}

customElements.define("nx-events", Events);
