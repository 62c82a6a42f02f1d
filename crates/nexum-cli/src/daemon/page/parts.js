// Small parts that several views show.

import { h, text } from "./dom.js";
import { firstLine, words } from "./format.js";
import { isCalm } from "./state.js";

export function moduleLink(name) {
  return h("a", { href: `#/modules/${encodeURIComponent(name)}` }, name);
}

/** The state of a module in a word, and why, unless the word says everything. */
export function stageOf(module) {
  const { stage, reason, queries } = module;
  const calm = isCalm(stage);
  const why = stage === "running" || stage === "serving" ? null : (queries?.suspension?.reason ?? reason);
  return [
    h(
      calm ? "span.state" : stage === "dead" || stage === "refused" ? "span.state.bad" : "span.state.mild",
      words(stage),
    ),
    why != null && h("small", ` ${firstLine(why, 120)}`),
  ];
}

/** A reason: its first line, and the others behind a click. */
export function reason(error) {
  const [first, ...rest] = String(error).split("\n");
  return rest.length === 0 ? h("span", first) : h("details", h("summary", first), h("pre", rest.join("\n")));
}

/** A command with a button that copies it. */
class Command extends HTMLElement {
  set value(value) {
    if (this.shown === value) return;
    this.shown = value;
    const copied = h("span.copied", { role: "status" });
    const code = h("code", value);
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(value);
        text(copied, "copied");
      } catch {
        // A browser copies only on pages of HTTPS and of this machine.
        getSelection().selectAllChildren(code);
        text(copied, "selected");
      }
    };
    this.replaceChildren(
      code,
      h("button", { type: "button", "aria-label": `Copy ${value}`, onclick: copy }, "Copy"),
      copied,
    );
  }
}

customElements.define("nx-command", Command);

/** The element of a command; nothing for null. */
export function commandOf(value) {
  if (value == null) return null;
  const element = document.createElement("nx-command");
  element.value = value;
  return element;
}
