// The log as it is written, and the operators' commands in it.

import { Stream } from "./api.js";
import { attribute, cells, fill, h, head, keyed, text, time } from "./dom.js";
import { words } from "./format.js";
import { moduleLink, reason } from "./parts.js";
import { View, state } from "./state.js";

/** The records that the page keeps, and those that it shows. */
const KEPT_MAX = 2_000;
const SHOWN_MAX = 400;

/** The list changes at most this often. */
const SHOW_EVERY_MS = 250;

const LEVELS = ["error", "warn", "info", "debug", "trace"];

/** A list of records, newest first, that a stream makes longer. */
class Records extends View {
  #kept = [];
  #stream = null;
  #timer = null;
  #paused = false;
  #visible = () => this.#follow();

  connectedCallback() {
    this.note = h("p.quiet", { role: "status" });
    this.rows = h("tbody");
    this.pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => this.#toggle() }, "Pause");
    super.connectedCallback();
    this.open();
    document.addEventListener("visibilitychange", this.#visible);
  }

  close() {
    document.removeEventListener("visibilitychange", this.#visible);
    this.#stream?.stop();
    clearTimeout(this.#timer);
  }

  /** Begins again, with the records of another path. */
  open() {
    this.#stream?.stop();
    this.#kept = [];
    text(this.note, "");
    this.#stream = new Stream(this.path(), {
      message: (record) => this.#take(record),
      gap: ({ lost, why }) =>
        text(this.note, lost == null ? `Records are missing here: ${words(why)}.` : `Up to ${lost} records are lost.`),
      lost: (error) => text(this.note, error == null ? "" : `No log: ${error.message}`),
      open: () => {},
    });
    this.#follow();
    this.show();
  }

  #follow() {
    if (document.hidden) this.#stream.stop();
    else this.#stream.start();
  }

  #toggle() {
    this.#paused = !this.#paused;
    attribute(this.pause, "aria-pressed", String(this.#paused));
    text(this.pause, this.#paused ? "Continue" : "Pause");
    this.show();
  }

  #take(record) {
    if (!this.wants(record)) return;
    this.#kept.push(record);
    if (this.#kept.length > KEPT_MAX) this.#kept.shift();
    this.#timer ??= setTimeout(() => this.show(), SHOW_EVERY_MS);
  }

  show() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#paused) return;
    const shown = this.#kept
      .filter((record) => this.matches(record))
      .slice(-SHOWN_MAX)
      .reverse();
    keyed(
      this.rows,
      shown,
      (record) => record.seq,
      (record) => this.row(record),
    );
    this.none.hidden = shown.length > 0;
  }

  refresh() {}

  wants() {
    return true;
  }

  matches() {
    return true;
  }
}

const LOG = ["Time", "Level", "Module", "Message"];

class Logs extends Records {
  build() {
    this.level = h(
      "select",
      { "aria-label": "Level", onchange: () => this.open() },
      ...LEVELS.map((level) => h("option", { value: level, selected: level === "info" }, `${level} and above`)),
    );
    this.module = h(
      "select",
      { "aria-label": "Module", onchange: () => this.open() },
      h("option", { value: "" }, "all modules"),
    );
    this.filter = h("input.filter", {
      type: "search",
      placeholder: "Filter",
      "aria-label": "Filter records",
      oninput: () => this.show(),
    });
    this.none = h("p.quiet", "No record so far.");
    this.replaceChildren(
      h("h1", "Logs"),
      h("div.tools", this.level, this.module, this.filter, this.pause),
      this.note,
      h("table.logs", head(LOG), this.rows),
      this.none,
    );
  }

  refresh() {
    const shown = [...this.module.options].map(({ value }) => value);
    const names = (state.modules ?? []).map(({ name }) => name);
    this.module.append(
      ...names.filter((name) => !shown.includes(name)).map((name) => h("option", { value: name }, name)),
    );
  }

  path() {
    const module = this.module.value === "" ? "" : `&module=${encodeURIComponent(this.module.value)}`;
    return `/v1/logs?limit=200&level=${this.level.value}${module}`;
  }

  matches({ message, module, target, event, fields }) {
    const wanted = this.filter.value.trim().toLowerCase();
    return (
      wanted === "" ||
      `${message} ${module} ${target} ${event} ${JSON.stringify(fields)}`.toLowerCase().includes(wanted)
    );
  }

  row({ at_ms, level, module, message, event, target, fields }) {
    const row = h("tr", ...cells(LOG));
    const [when, word, subject, what] = row.children;
    row.dataset.level = level;
    when.append(time(at_ms));
    text(word, level);
    if (module != null) subject.append(moduleLink(module));
    const values = Object.entries(fields).map(
      ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
    if (event != null) values.unshift(`event=${event}`);
    what.append(reason(message), " ", h("small", values.join(" "), values.length > 0 ? " " : "", target));
    return row;
  }
}

const AUDIT = ["Time", "Who", "Command", "Subject", "Reason", "Outcome"];

class Audit extends Records {
  build() {
    this.none = h(
      "p.quiet",
      "No command in the log that the daemon keeps in memory. The log on stderr has the earlier ones.",
    );
    this.replaceChildren(
      h("h1", "Who did what"),
      h("div.tools", this.pause),
      this.note,
      h("table.audit", head(AUDIT), this.rows),
      this.none,
    );
  }

  path() {
    return "/v1/logs?limit=10000&level=info";
  }

  wants({ target }) {
    return target === "nexum::audit";
  }

  row({ at_ms, module, event, message, fields }) {
    const { by, pid, address, command, name, file, effect, reason, outcome } = fields;
    const row = h("tr", ...cells(AUDIT));
    const [when, who, what, subject, why, result] = row.children;
    when.append(time(at_ms));
    const detail = pid != null ? ` pid ${pid}` : address != null ? ` ${address}` : "";
    fill(who, by ?? "unknown", h("small", detail));
    text(what, command ?? message);
    fill(
      subject,
      module != null ? moduleLink(module) : (name ?? file ?? ""),
      event != null && h("code", ` ${event}`),
      effect != null && ` effect ${effect}`,
    );
    text(why, reason ?? "");
    if (outcome != null) fill(result, h(outcome === "ok" ? "span.state" : "span.state.mild", outcome));
    return row;
  }
}

customElements.define("nx-logs", Logs);
customElements.define("nx-audit", Audit);
