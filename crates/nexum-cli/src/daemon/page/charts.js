// Lines over time: a small one in a row of a table, and a large one with axes.

import uPlot from "./uPlot.esm.js";
import { h, text } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";

/** The size of a sparkline in its own units. CSS gives it another one. */
const WIDTH = 120;
const HEIGHT = 20;

/** The least time that a chart shows, in seconds. */
const WINDOW_S_MIN = 60;

/** The steps of an axis of whole numbers. */
const WHOLE = Array.from({ length: 19 }, (_, place) => [1, 2, 5][place % 3] * 10 ** Math.floor(place / 3));

/** The height of a large chart, in pixels of CSS. */
const CHART_HEIGHT = 150;

/** A line without axes. The row has the number beside it, so a screen reader skips it. */
class Spark extends HTMLElement {
  constructor() {
    super();
    const svg = document.createElementNS(SVG, "svg");
    for (const [name, value] of Object.entries({
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    })) {
      svg.setAttribute(name, value);
    }
    this.path = svg.appendChild(document.createElementNS(SVG, "path"));
    this.svg = svg;
  }

  connectedCallback() {
    this.replaceChildren(this.svg);
  }
}

customElements.define("nx-spark", Spark);

/** Draws the values from left to right, the last one at the right border. */
export function spark(element, values) {
  const most = Math.max(...values.filter((value) => value != null), Number.MIN_VALUE);
  // A new module begins in the middle, and its line grows to the left border.
  const step = WIDTH / Math.max(values.length - 1, 60);
  let [line, pen] = ["", "M"];
  values.forEach((value, place) => {
    if (value == null) pen = "M";
    else {
      const x = WIDTH - (values.length - 1 - place) * step;
      line += `${pen}${x.toFixed(1)} ${(HEIGHT - 1 - (value / most) * (HEIGHT - 2)).toFixed(1)}`;
      pen = "L";
    }
  });
  if (element.path.getAttribute("d") !== line) element.path.setAttribute("d", line);
}

const now = () => Date.now() / 1_000;

const dark = matchMedia("(prefers-color-scheme: dark)");

/** A chart over time: `show(times, values)` with the times in seconds. A title and a sentence say what it shows. */
export class Chart extends HTMLElement {
  #plot = null;
  #data = [[], []];
  #size = new ResizeObserver(() => this.#resize());
  #theme = () => this.#draw();

  /** @param {{ title: string, format: (value: number) => string, points?: boolean, isWhole?: boolean }} options */
  set options(options) {
    this.shape = options;
  }

  connectedCallback() {
    this.place = h("div.plot", { role: "img" });
    this.note = h("p.quiet");
    this.replaceChildren(h("h3", this.shape.title), this.place, this.note);
    this.#draw();
    this.#size.observe(this);
    dark.addEventListener("change", this.#theme);
  }

  disconnectedCallback() {
    this.#size.disconnect();
    dark.removeEventListener("change", this.#theme);
    this.#plot?.destroy();
    this.#plot = null;
  }

  show(times, values) {
    this.#data = [times, values];
    const known = values.filter((value) => value != null);
    const { format, title } = this.shape;
    const note =
      known.length === 0
        ? "No value since this page is open."
        : `Last ${format(known.at(-1))}, most ${format(Math.max(...known))}.`;
    text(this.note, note);
    this.place.setAttribute("aria-label", `${title}. ${note}`);
    this.#plot?.setData(this.#data);
  }

  #resize() {
    const width = this.place.clientWidth;
    if (width > 0 && this.#plot?.width !== width) this.#plot?.setSize({ width, height: CHART_HEIGHT });
  }

  #draw() {
    this.#plot?.destroy();
    const style = getComputedStyle(this);
    const color = (name) => style.getPropertyValue(name).trim();
    const font = `12px ${style.fontFamily}`;
    const axis = {
      stroke: color("--quiet"),
      font,
      grid: { stroke: color("--line"), width: 1 },
      ticks: { show: false },
    };
    const { format, points, isWhole } = this.shape;
    const least = isWhole ? 4 : 1;
    const options = {
      width: this.place.clientWidth || 300,
      height: CHART_HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), "Etc/UTC"),
      scales: {
        x: { range: (_, first, last) => [Math.min(first ?? now(), (last ?? now()) - WINDOW_S_MIN), last ?? now()] },
        y: { range: (_, __, most) => [0, Math.max(most * 1.1, least)] },
      },
      axes: [
        {
          ...axis,
          size: 28,
          grid: { show: false },
          values: (_, seconds) => seconds.map((at) => new Date(at * 1_000).toISOString().slice(11, 19)),
          space: 80,
        },
        {
          ...axis,
          size: 64,
          values: (_, values) => values.map((value) => format(value)),
          space: 36,
          incrs: isWhole ? WHOLE : undefined,
        },
      ],
      series: [
        {},
        points
          ? {
              stroke: color("--accent"),
              width: 0,
              paths: () => null,
              points: { show: true, size: 4, fill: color("--accent") },
            }
          : { stroke: color("--accent"), width: 1.5, points: { show: false } },
      ],
    };
    this.#plot = new uPlot(options, this.#data, this.place);
  }
}

customElements.define("nx-chart", Chart);

export function chart(options) {
  const element = document.createElement("nx-chart");
  element.options = options;
  return element;
}
