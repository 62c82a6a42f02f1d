// The operator's page: the token, the views and the keys.

import { admits, token } from "./api.js";
import { attribute, fill, h, text, time } from "./dom.js";
import { count, span } from "./format.js";
import { state } from "./state.js";
import "./overview.js";
import "./module.js";
import "./events.js";
import "./letters.js";
import "./logs.js";

/** The views of the menu: the address, the element and the title. The number of each is its key. */
const VIEWS = [
  ["#/", "nx-overview", "Overview"],
  ["#/dead-letters", "nx-letters", "Dead letters"],
  ["#/logs", "nx-logs", "Logs"],
  ["#/audit", "nx-audit", "Who did what"],
];

const TOKEN = /^[A-Za-z0-9._~+/=-]+$/;

const KEYS = [
  ["1 to 4", "open a view"],
  ["j, k", "go to the next module, and to the one before"],
  ["Enter", "open the module"],
  ["/", "filter"],
  ["p", "pause the log"],
  ["Esc", "leave the filter, or return to the overview"],
  ["?", "show the keys"],
];

class Page extends HTMLElement {
  connectedCallback() {
    state.addEventListener(
      "refused",
      () => this.main != null && this.#ask("The daemon does not know this token any more."),
    );
    state.addEventListener("changed", () => this.#connection());
    document.addEventListener("visibilitychange", () => this.#watch());
    addEventListener("hashchange", () => {
      this.#route();
      this.main?.focus({ preventScroll: true });
    });
    document.addEventListener("keydown", (event) => this.#key(event));
    if (token.get() == null) this.#ask("");
    else this.#show();
  }

  /** Shows the form for the token. */
  #ask(why) {
    state.stop();
    token.forget();
    this.main = null;
    const field = h("input", {
      id: "token",
      type: "password",
      autocomplete: "current-password",
      required: true,
      spellcheck: "false",
    });
    const note = h("p.state.bad", { role: "alert" }, why);
    const enter = async (event) => {
      event.preventDefault();
      const entered = field.value.trim();
      if (!TOKEN.test(entered)) return text(note, "A token has only letters, digits and the characters -._~+/=");
      token.set(entered);
      try {
        if (await admits()) return this.#show();
        text(note, "This is not the token of the daemon.");
      } catch (error) {
        text(note, `The daemon does not answer: ${error.message}`);
      }
      token.forget();
      field.select();
    };
    const form = h("form", { onsubmit: enter }, h("label", { for: "token" }, "Token"), field, h("button", "Open"));
    const where = h(
      "p.quiet",
      "The token is in the file that ",
      h("code", "token_file"),
      " of ",
      h("code", "[admin]"),
      " names. This tab keeps it until you close the tab.",
    );
    this.replaceChildren(h("main.lonely", h("h1", "nexum"), form, note, where));
    field.focus();
  }

  /** Shows the views. */
  #show() {
    this.main = h("main", { id: "main", tabindex: "-1" });
    this.menu = h("nav", { "aria-label": "Views" }, ...VIEWS.map(([href, , title]) => h("a", { href }, title)));
    this.connection = h("p.connection", { role: "status" });
    this.help = h(
      "dialog",
      { "aria-labelledby": "keys" },
      h("h2", { id: "keys" }, "Keys"),
      keysOf(),
      h("form", { method: "dialog" }, h("button", "Close")),
    );
    const forget = h("button.link", { type: "button", onclick: () => this.#ask("") }, "Forget the token");
    const keys = h("button.link", { type: "button", onclick: () => this.help.showModal() }, "Keys");
    const skip = (event) => {
      event.preventDefault();
      this.main.focus();
    };
    this.replaceChildren(
      h("a.skip", { href: "#main", onclick: skip }, "Skip the menu"),
      h("header", h("a.brand", { href: "#/" }, "nexum"), this.menu, this.connection),
      this.main,
      h("footer", h("span", "Times are in UTC. This page only reads."), keys, forget),
      this.help,
    );
    this.#watch();
    this.#route();
    this.#connection();
  }

  /** Follows the daemon while the page is visible. A browser has few connections for all of its tabs. */
  #watch() {
    if (this.main == null || document.hidden) state.stop();
    else state.start();
  }

  #route() {
    if (this.main == null) return;
    const address = location.hash || "#/";
    const [, module] = /^#\/modules\/(.+)$/.exec(address) ?? [];
    const [href, name] = VIEWS.find(([href]) => href === address) ?? VIEWS[0];
    const view = document.createElement(module == null ? name : "nx-module");
    if (module != null) view.dataset.name = decoded(module);
    this.main.replaceChildren(view);
    for (const link of this.menu.children)
      attribute(link, "aria-current", module == null && link.getAttribute("href") === href && "page");
    scrollTo(0, 0);
  }

  #connection() {
    if (this.main == null) return;
    const { at, failure, isLive, hasNewPage, lost } = state;
    this.classList.toggle("stale", failure != null);
    const parts = [];
    if (failure != null) {
      parts.push(
        h("span.state.bad", "no answer "),
        at == null ? failure.message : ["state of ", time(at), `, ${span(Date.now() - at)} ago`],
      );
    } else if (at != null) parts.push(h("span.state", isLive ? "live" : "connecting"));
    if (lost > 0) parts.push(h("small", ` ${count(lost)} events lost`));
    if (hasNewPage)
      parts.push(
        " ",
        h("button.link", { type: "button", onclick: () => location.reload() }, "The daemon has a new page: reload"),
      );
    fill(this.connection, ...parts.flat());
  }

  #key(event) {
    const { key, target } = event;
    if (this.main == null || event.ctrlKey || event.altKey || event.metaKey || this.help.open) return;
    const isField = target.matches?.("input, select, textarea");
    if (key === "Escape") {
      if (isField) target.blur();
      else location.hash = "#/";
    } else if (!isField && this.#press(key)) event.preventDefault();
  }

  /** Does what a key stands for. Returns whether it stands for anything. */
  #press(key) {
    const [href] = VIEWS[Number(key) - 1] ?? [];
    if (href != null) location.hash = href;
    else if (key === "?") this.help.showModal();
    else if (key === "/") this.main.querySelector(".filter:not([hidden])")?.focus();
    else if (key === "p") this.main.querySelector("[aria-pressed]")?.click();
    else if (key === "j" || key === "k") this.#step(key === "j" ? 1 : -1);
    else return false;
    return true;
  }

  /** Moves the focus among the modules. */
  #step(by) {
    const links = [...this.main.querySelectorAll(".modules a")];
    const now = links.indexOf(document.activeElement);
    const next = now < 0 ? (by > 0 ? 0 : links.length - 1) : now + by;
    links[Math.min(Math.max(next, 0), links.length - 1)]?.focus();
  }
}

function keysOf() {
  return h("dl.facts", ...KEYS.flatMap(([keys, what]) => [h("dt", h("kbd", keys)), h("dd", what)]));
}

/** The name in an address. A name that is not encoded stays as it is. */
function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

customElements.define("nx-page", Page);
