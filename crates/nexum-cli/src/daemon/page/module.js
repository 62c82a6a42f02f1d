// The view of one module: what it does now, how late it is, its limits, its time, its subscriptions and its events.

import { get } from "./api.js";
import { chart } from "./charts.js";
import { attribute, cells, fill, h, head, keyed, section, text, time } from "./dom.js";
import { UNKNOWN, bytes, command, count, counted, micros, percent, rate, short, span, words } from "./format.js";
import { commandOf, reason, stageOf } from "./parts.js";
import { View, state } from "./state.js";

/** How often the limits are read. */
const LIMITS_EVERY_MS = 5_000;

/** From this share of a limit on, the row stands out. */
const LIMIT_SHARE_MILD = 0.7;

const POSITION = ["Chain", "At", "Head", "Behind", "Lag"];
const LIMIT = ["Limit", "Last", "Most", "Bound", "Used"];
const MATCH = ["Subscription", "Last match", "When"];
const FAILURE = ["When", "Event", "Attempt", "Error"];

class Module extends View {
  #limits = null;
  #limitsAt = 0;

  build() {
    this.name = this.dataset.name;
    this.stage = h("p.stage");
    this.nextStep = h("p");
    this.now = h("p");
    this.absent = h("p.lonely", "There is no such module, or the daemon has not answered yet.");
    this.positions = h("tbody");
    this.schedules = h("ul.plain");
    this.time = h("div.share");
    this.timeNote = h("p.quiet");
    this.limits = h("tbody");
    this.unused = h("p.quiet");
    this.matches = h("tbody");
    this.failures = h("tbody");
    this.facts = h("dl.facts");
    this.charts = {
      rate: chart({ title: "Events a second", format: rate }),
      behind: chart({ title: "Blocks behind", format: count, isWhole: true }),
      took: chart({ title: "Time of each handler", format: micros, points: true }),
    };
    this.events = document.createElement("nx-events");
    this.events.dataset.name = this.name;
    this.parts = {
      now: section("Now", this.now, h("table", head(POSITION, [1, 2, 3, 4]), this.positions), this.schedules),
      charts: section("The last ten minutes", h("div.charts", ...Object.values(this.charts))),
      time: section("Where its time goes", this.time, this.timeNote),
      events: section("Events", this.events),
      failures: section("Last failures", h("table.failures", head(FAILURE, [2]), this.failures)),
      limits: section(
        "Limits",
        h("p.quiet", "The use by the last handler, and the most in the last ten to twenty minutes."),
        h("table", head(LIMIT, [1, 2, 3]), this.limits),
        this.unused,
      ),
      matches: section("Subscriptions", h("table", head(MATCH, [1]), this.matches)),
      facts: section("Module", this.facts),
    };
    this.replaceChildren(h("h1", this.name), this.stage, this.nextStep, this.absent, ...Object.values(this.parts));
  }

  refresh() {
    const module = state.module(this.name);
    const events = module?.events;
    this.absent.hidden = module != null;
    this.parts.facts.hidden = module == null;
    for (const part of ["now", "charts", "time", "events", "matches"]) this.parts[part].hidden = events == null;
    this.parts.failures.hidden = !(events?.last_failures.length > 0);
    this.parts.limits.hidden = events == null || this.#limits == null;
    if (module == null) return;
    const since = module.reason_since_ms;
    fill(
      this.stage,
      ...stageOf(module),
      since != null && h("small", ` since `, time(since), `, ${span(Date.now() - since)}`),
    );
    this.#next(module);
    this.#facts(module);
    if (events == null) return;
    this.#now(module, events);
    this.#charts();
    this.#time(events);
    keyed(
      this.failures,
      events.last_failures,
      ({ event, attempt, at_ms }) => `${event}/${attempt}/${at_ms}`,
      makeFailure,
    );
    const matched = (row, { block, at_ms }) => {
      text(row.children[1], count(block));
      fill(row.children[2], time(at_ms));
    };
    keyed(
      this.matches,
      events.matches,
      ({ subscription }) => subscription,
      (match) => makeRow(MATCH, [1], match.subscription),
      matched,
    );
    this.#readLimits();
  }

  #next({ name, dead_letters, effects_in_doubt }) {
    const letters = dead_letters > 0 && [
      `${counted(dead_letters, "dead letter")} `,
      commandOf(command("dead-letter", "list", name)),
    ];
    const effects = effects_in_doubt > 0 && [
      ` ${counted(effects_in_doubt, "effect")} in doubt `,
      commandOf(command("effect", "list", name, "--unknown")),
    ];
    this.nextStep.hidden = !letters && !effects;
    fill(this.nextStep, ...(letters || []), ...(effects || []));
  }

  #now(module, { handling, last_success, chains, schedules }) {
    const now = [];
    if (handling != null) {
      now.push(`The module handles ${handling.event}, attempt ${handling.attempt}, for ${span(handling.elapsed_ms)}.`);
      const { kind, method, endpoint, elapsed_ms } = handling.host_call ?? {};
      const at = endpoint == null ? "" : ` at ${endpoint}`;
      if (kind != null) now.push(` It waits for ${kind} ${method}${at}, ${span(elapsed_ms)}.`);
    } else {
      now.push("No handler runs.");
      const { event, at_ms } = last_success ?? {};
      if (event != null) now.push(" The last event was ", h("code", event), " at ", time(at_ms), ".");
    }
    fill(this.now, ...now);
    this.positions.closest("table").hidden = chains.length === 0;
    keyed(
      this.positions,
      chains,
      ({ chain }) => chain,
      ({ chain }) => makeRow(POSITION, [1, 2, 3, 4], chain),
      (row, position) => {
        const { at, head: newest, behind, lag_ms } = position;
        [count(at), count(newest), count(behind), lag_ms == null ? UNKNOWN : span(lag_ms)].forEach((value, place) =>
          text(row.children[place + 1], value),
        );
      },
    );
    const due = ({ schedule, last_ms, next_ms }) =>
      h("li", h("code", schedule), " last ", time(last_ms), ", next ", time(next_ms));
    fill(
      this.schedules,
      ...schedules.map(due),
      ...module.catching_up.map(({ chain, at, to }) =>
        h("li", `Catches up on ${chain}: block ${count(at)} of ${count(to)}`),
      ),
    );
  }

  #charts() {
    const past = state.past(this.name);
    this.charts.rate.show(past.times, past.rates);
    this.charts.behind.show(past.times, past.behind);
    const handled = past.events.filter((event) => event.took_us != null);
    // The horizontal axis needs growing times.
    this.charts.took.show(
      handled.map(({ at_ms }) => at_ms / 1_000),
      handled.map(({ took_us }) => took_us),
    );
  }

  #time({ time_use, time_mostly }) {
    const all = time_use.reduce((sum, { ms }) => sum + ms, 0);
    text(this.timeNote, all === 0 ? "No event in the last minutes." : `Mostly ${time_mostly}.`);
    keyed(
      this.time,
      time_use,
      ({ kind }) => kind,
      ({ kind }) => h("div", { "data-kind": kind }, h("span", words(kind)), h("i"), h("b")),
      (part, { ms }) => {
        part.querySelector("i").style.setProperty("--share", ms / all);
        text(part.querySelector("b"), `${percent(ms / all)}, ${span(ms)}`);
      },
    );
  }

  async #readLimits() {
    if (Date.now() - this.#limitsAt < LIMITS_EVERY_MS) return;
    this.#limitsAt = Date.now();
    try {
      this.#limits = await get(`/v1/modules/${encodeURIComponent(this.name)}/limits`);
    } catch {
      // The line about the connection says why.
      return;
    }
    const measured = this.#limits.filter((limit) => limit.most > 0);
    const unused = this.#limits.filter((limit) => limit.most === 0).map(({ limit }) => limit);
    text(this.unused, unused.length === 0 ? "" : `Not used: ${unused.join(", ")}.`);
    measured.sort((one, other) => other.most / other.bound - one.most / one.bound);
    keyed(
      this.limits,
      measured,
      ({ limit }) => limit,
      ({ limit }) => makeLimit(limit),
      fillLimit,
    );
  }

  #facts(module) {
    const {
      version,
      description,
      authors,
      digest,
      path,
      from,
      capabilities,
      memory_bytes,
      handled,
      failed,
      node,
      queries,
    } = module;
    const facts = {
      Version: version,
      Description: description,
      Authors: authors.join(", "),
      "Handled events": count(handled),
      "Failed calls": count(failed),
      Memory: bytes(memory_bytes),
      Queries: queries && queriesOf(queries),
      Capabilities: capabilities.join(", "),
      Node: node,
      File: path,
      Digest: digest,
      "Comes from": from,
    };
    const known = Object.entries(facts).filter(([, value]) => value);
    fill(this.facts, ...known.flatMap(([name, value]) => [h("dt", name), h("dd", value)]));
  }
}

function queriesOf({ answered, failed, refused, in_flight }) {
  const parts = { answered, failed, refused, "in flight": in_flight };
  return Object.entries(parts)
    .map(([what, number]) => `${count(number)} ${what}`)
    .join(", ");
}

function makeRow(labels, numbers, first) {
  const row = h("tr", ...cells(labels, numbers));
  text(row.firstChild, first);
  return row;
}

function makeFailure({ at_ms, event, attempt, attempts_max, error }) {
  const row = h("tr", ...cells(FAILURE, [2]));
  const [when, id, number, why] = row.children;
  when.append(time(at_ms));
  text(id, event);
  text(number, attempts_max == null ? attempt : `${attempt} of ${attempts_max}`);
  why.append(reason(error));
  return row;
}

function makeLimit(limit) {
  const row = makeRow(LIMIT, [1, 2, 3], limit);
  row.children[4].append(h("span.meter", h("i"), h("b")));
  return row;
}

function fillLimit(row, { limit, last, most, bound }) {
  const show = /bytes/.test(limit) ? bytes : /_ms$/.test(limit) ? span : short;
  const share = bound > 0 ? most / bound : 0;
  [last, most, bound].forEach((value, place) => {
    text(row.children[place + 1], show(value));
    attribute(row.children[place + 1], "title", count(value));
  });
  row.classList.toggle("mild", share >= LIMIT_SHARE_MILD);
  row.querySelector("i").style.setProperty("--share", Math.min(share, 1));
  text(row.querySelector("b"), percent(share));
}

customElements.define("nx-module", Module);
