// Dead letters of all modules, grouped by their reason.

import { get } from "./api.js";
import { fill, h, keyed, text, time } from "./dom.js";
import { command, count, counted } from "./format.js";
import { commandOf, moduleLink, reason } from "./parts.js";
import { View, state } from "./state.js";

/** The letters of a module that the page reads, the oldest ones. */
const LETTERS_MAX = 200;

/** The modules whose letters the page reads. */
const MODULES_MAX = 100;

/** The events that a group names. */
const EXAMPLES_MAX = 5;

class Letters extends View {
  #letters = new Map();
  #isReading = false;

  build() {
    this.note = h("p.quiet");
    this.groups = h("ol.groups");
    this.replaceChildren(h("h1", "Dead letters"), this.note, this.groups);
  }

  refresh() {
    const all = (state.modules ?? []).filter((module) => module.dead_letters > 0);
    const shown = all.slice(0, MODULES_MAX);
    this.#read(shown);
    const known = new Set(shown.map(({ name }) => name));
    for (const name of this.#letters.keys()) if (!known.has(name)) this.#letters.delete(name);
    const total = all.reduce((sum, { dead_letters }) => sum + dead_letters, 0);
    const letters = [...this.#letters].flatMap(([name, { letters }]) => letters.map((letter) => ({ name, letter })));
    text(this.note, about(total, letters.length, all.length - shown.length));
    keyed(
      this.groups,
      grouped(letters),
      (group) => group.key,
      () => h("li"),
      fillGroup,
    );
  }

  /** Reads the letters of the modules whose number has changed, one module after another. */
  async #read(modules) {
    if (this.#isReading) return;
    this.#isReading = true;
    for (const { name, dead_letters } of modules) {
      if (!this.isConnected) break;
      if (this.#letters.get(name)?.number === dead_letters) continue;
      try {
        const letters = await get(`/v1/modules/${encodeURIComponent(name)}/dead-letters?limit=${LETTERS_MAX}`);
        this.#letters.set(name, { number: dead_letters, letters });
      } catch {
        // The line about the connection says why; the next look tries again.
        break;
      }
    }
    this.#isReading = false;
  }
}

function about(total, read, unread) {
  if (state.modules == null) return "Asking the daemon...";
  if (total === 0) return "No module has dead letters: each event is handled.";
  const some = read < total ? ` The groups have ${count(read)} of them: the oldest ${LETTERS_MAX} of each module.` : "";
  const others = unread > 0 ? ` ${counted(unread, "module")} left out.` : "";
  return `${counted(total, "event")} that a module failed to handle.${some}${others}`;
}

/** Groups whose reasons differ only in numbers, the largest first. */
function grouped(letters) {
  const groups = new Map();
  for (const { name, letter } of letters) {
    const last = letter.attempts.at(-1);
    const text = last?.reason ?? "no attempt";
    const key = text.split("\n", 1)[0].replace(/0x[0-9a-f]+|\d+/gi, "#");
    const group = groups.get(key) ?? { key, text, modules: new Map(), number: 0, oldest: Infinity, newest: 0 };
    const events = group.modules.get(name) ?? [];
    events.push(letter.event);
    group.modules.set(name, events);
    group.number += 1;
    group.oldest = Math.min(group.oldest, last?.at_ms ?? Infinity);
    group.newest = Math.max(group.newest, last?.at_ms ?? 0);
    groups.set(key, group);
  }
  return [...groups.values()].sort((one, other) => other.number - one.number);
}

function fillGroup(row, { text: why, modules, number, oldest, newest }) {
  const lines = [...modules].map(([name, events]) => {
    const rest = events.length > EXAMPLES_MAX ? `, and ${events.length - EXAMPLES_MAX} more` : "";
    return h(
      "li",
      h("span.subject", moduleLink(name)),
      h("span", h("code", events.slice(0, EXAMPLES_MAX).join(", ")), rest),
      h(
        "span.next",
        commandOf(command("dead-letter", "show", name, events[0])),
        commandOf(command("dead-letter", "retry", name, "--all")),
      ),
    );
  });
  const open = row.querySelector("details")?.open;
  fill(
    row,
    h("h2", counted(number, "event"), h("small", " from ", time(oldest), " to ", time(newest))),
    reason(why),
    h("ul.plain", ...lines),
  );
  if (open) row.querySelector("details").open = true;
}

customElements.define("nx-letters", Letters);
