// The first view: one line that says whether all is well, the chains, and the modules.

import { spark } from "./charts.js";
import { cells, fill, h, head, keyed, number, section, text, time } from "./dom.js";
import { UNKNOWN, command, count, counted, firstLine, micros, percent, rate, span, words } from "./format.js";
import { commandOf, moduleLink, stageOf } from "./parts.js";
import { View, state } from "./state.js";

/** With more modules than this, the list has a filter. */
const UNFILTERED_MAX = 12;

/** The next step for a module in a stage that needs the operator. */
function remedy(module) {
  const { name, stage } = module ?? {};
  if (name == null || stage === "refused") return command("check");
  if (stage === "dead") return command("module", "restart", name) ?? command("status");
  if (stage === "waiting_for_chain") return command("chains");
  if (stage === "suspended") return command("logs", name) ?? command("status");
  return command("status", name) ?? command("status");
}

/** Everything that needs the operator: a subject, its state, why, since when, and the next step. */
export function needs() {
  const found = [];
  for (const problem of state.health?.problems ?? []) found.push(needOf(problem));
  for (const module of state.modules ?? []) {
    const { name } = module;
    if (module.dead_letters > 0) {
      const why = `${counted(module.dead_letters, "event")} that the module failed to handle`;
      found.push({ module: name, state: "dead letters", why, next: command("dead-letter", "list", name) });
    }
    if (module.effects_in_doubt > 0) {
      const why = `nexum cannot know whether ${counted(module.effects_in_doubt, "effect")} happened`;
      found.push({ module: name, state: "in doubt", why, next: command("effect", "list", name, "--unknown") });
    }
  }
  // The modules have said their part already.
  for (const note of (state.health?.notes ?? []).filter((note) => note.module == null)) found.push(needOf(note));
  return found;
}

function needOf(problem) {
  const module = state.module(problem.module);
  let next = command("chains");
  if (problem.account != null) next = command("account", "show", problem.account);
  else if (problem.module != null) next = remedy(module ?? { name: problem.module });
  // The text of a note ends with its command.
  let why = firstLine(problem.reason.replace(/: `nexum [^`]*`$/, ""));
  const stage = module == null ? null : words(module.stage);
  if (stage != null && why.startsWith(`${stage}: `)) why = why.slice(stage.length + 2);
  return {
    ...problem,
    state: stage ?? (problem.account != null ? "account" : "chain"),
    why,
    waiting: problem.waiting ?? [],
    next,
  };
}

class Summary extends View {
  build() {
    this.line = h("h1");
    this.list = h("ul.needs");
    this.replaceChildren(h("div", { role: "status" }, this.line), this.list);
  }

  refresh() {
    if (state.modules == null || state.failure != null) {
      text(this.line, state.failure == null ? "Asking the daemon..." : "The daemon does not answer");
      document.title = state.failure == null ? "nexum" : "(!) nexum";
      return;
    }
    const found = needs();
    const since = state.calmSince;
    if (found.length === 0) {
      const passed = Date.now() - since;
      // A screen reader reads the line again when it changes.
      const well = since == null ? [] : [" since ", time(since), passed >= 60_000 && h("small", ` ${span(passed)}`)];
      fill(this.line, "All is well", ...well);
    } else fill(this.line, found.length === 1 ? "1 thing needs you" : `${count(found.length)} things need you`);
    document.title = found.length === 0 ? "nexum" : `(${found.length}) nexum`;
    keyed(
      this.list,
      found,
      (need) => `${need.module}|${need.chain}|${need.account}|${need.state}`,
      () => h("li"),
      fillNeed,
    );
  }
}

function fillNeed(row, need) {
  const subject = need.module != null ? moduleLink(need.module) : (need.account ?? `chain ${need.chain}`);
  const timing = [];
  if (need.since_ms != null) timing.push(`for ${span(Date.now() - need.since_ms)}`);
  if (need.next_try_ms != null) timing.push(`nexum tries again in ${span(Math.max(0, need.next_try_ms - Date.now()))}`);
  if (need.waiting?.length > 0)
    timing.push(`${counted(need.waiting.length, "module")} ${need.waiting.length === 1 ? "waits" : "wait"}`);
  fill(
    row,
    h("span.subject", subject),
    h(isMild(need) ? "span.state.mild" : "span.state.bad", need.state),
    h("span.why", need.why, timing.length > 0 && h("small", ` ${timing.join(", ")}`)),
    h("span.next", commandOf(need.next)),
  );
}

/** Whether nexum continues by itself, or the thing can wait. */
function isMild(need) {
  return need.next_try_ms != null || need.state === "dead letters" || need.since_ms == null;
}

const CHAIN = ["Chain", "State", "Head", "Age", "Endpoint", "Its head", "p50", "p99", "Failed"];
const CHAIN_NUMBERS = [2, 3, 5, 6, 7, 8];

class Chains extends View {
  build() {
    this.rows = h("tbody");
    this.section = section("Chains", h("table.chains", head(CHAIN, CHAIN_NUMBERS), this.rows));
    this.replaceChildren(this.section);
  }

  refresh() {
    this.section.hidden = state.chains.length === 0;
    const rows = state.chains.flatMap((chain) => {
      const endpoints = chain.endpoints.length === 0 ? [null] : chain.endpoints;
      return endpoints.map((endpoint, place) => ({ chain, endpoint, place }));
    });
    const key = ({ chain, place }) => `${chain.chain_id}/${place}`;
    keyed(this.rows, rows, key, () => h("tr", ...cells(CHAIN, CHAIN_NUMBERS)), fillChain);
  }
}

function fillChain(row, { chain, endpoint, place }) {
  const [id, health, number, age, name, own, p50, p99, failed] = row.children;
  row.className = place === 0 ? "first" : "more";
  const { head: newest, trouble } = chain;
  text(id, place === 0 ? chain.chain_id : "");
  text(number, place === 0 ? count(newest?.number) : "");
  text(age, place === 0 && newest != null ? span(Math.max(0, Date.now() - newest.timestamp_ms)) : "");
  const isUsed = endpoint?.state === "in_use";
  const word = endpoint == null ? UNKNOWN : words(endpoint.state);
  fill(
    health,
    place === 0 && trouble != null && h("span.state.bad", "trouble "),
    place === 0 && trouble != null && h("span.why", `${firstLine(trouble.text)} `),
    h(isUsed || endpoint?.state === "standby" ? "span.state" : "span.state.mild", word),
    endpoint?.reason != null && h("small", ` ${firstLine(endpoint.reason)}`),
  );
  text(name, endpoint?.endpoint ?? UNKNOWN);
  text(own, count(endpoint?.head));
  text(p50, micros(endpoint?.latency_p50_us));
  text(p99, micros(endpoint?.latency_p99_us));
  text(failed, percent(endpoint?.error_rate));
}

const MODULE = ["Module", "State", "Behind", "Lag", "Events/s", "Last ten minutes", "Failed/h", "Dead letters"];
const MODULE_NUMBERS = [2, 3, 4, 6, 7];

class Modules extends View {
  build() {
    this.rows = h("tbody");
    this.counts = h("p.quiet");
    const filter = {
      type: "search",
      placeholder: "Filter",
      "aria-label": "Filter modules",
      oninput: () => this.refresh(),
    };
    this.filter = h("input.filter", filter);
    this.none = h("p.quiet", "No module has this text in its name or state.");
    this.replaceChildren(
      section(
        "Modules",
        h("div.tools", this.counts, this.filter),
        h("table.modules", head(MODULE, MODULE_NUMBERS), this.rows),
        this.none,
      ),
    );
  }

  refresh() {
    const all = state.modules ?? [];
    const stages = new Map();
    for (const { stage } of all) stages.set(stage, (stages.get(stage) ?? 0) + 1);
    text(this.counts, [...stages].map(([stage, number]) => `${count(number)} ${words(stage)}`).join(", "));
    this.filter.hidden = all.length <= UNFILTERED_MAX && this.filter.value === "";
    const wanted = this.filter.value.trim().toLowerCase();
    const shown = all.filter(({ name, stage }) => `${name} ${words(stage)}`.toLowerCase().includes(wanted));
    this.none.hidden = shown.length > 0 || state.modules == null;
    keyed(this.rows, shown, (module) => module.name, makeModule, fillModule);
  }
}

function makeModule(module) {
  const row = h("tr", ...cells(MODULE, MODULE_NUMBERS));
  row.children[0].append(moduleLink(module.name));
  row.children[5].append(document.createElement("nx-spark"));
  return row;
}

function fillModule(row, module) {
  const [, stage, behind, lag, events, line, failed, letters] = row.children;
  const positions = module.events?.chains ?? [];
  const most = (key) =>
    positions.reduce((found, one) => (one[key] == null ? found : Math.max(found ?? 0, one[key])), null);
  const past = state.past(module.name);
  fill(stage, ...stageOf(module));
  number(behind, count(most("behind")));
  number(lag, span(most("lag_ms")));
  number(events, rate(past.rates.at(-1)));
  spark(line.firstChild, past.rates);
  number(failed, count(module.events?.failures_in_last_hour));
  number(letters, count(module.events && module.dead_letters));
}

class Overview extends HTMLElement {
  connectedCallback() {
    this.replaceChildren(...["nx-summary", "nx-chains", "nx-modules"].map((name) => document.createElement(name)));
  }
}

customElements.define("nx-summary", Summary);
customElements.define("nx-chains", Chains);
customElements.define("nx-modules", Modules);
customElements.define("nx-overview", Overview);
