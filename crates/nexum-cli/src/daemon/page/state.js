// What the page knows of the daemon: its last answers, and the recent past that the page has seen itself.

import { Stream, get, pageVersion } from "./api.js";

/** The wait between two looks at the daemon. A slow answer makes it longer: the page must cost the daemon little. */
const LOOK_EVERY_MS = 2_000;
const LOOK_SHARE_MAX = 0.1;

/** The wait after an event that changes the answers, however many of them arrive. */
const LOOK_SOON_MS = 500;

/** The views change at most this often, however many events arrive. */
const CHANGED_EVERY_MS = 250;

/** The samples of a module: ten minutes. */
const SAMPLES_MAX = 300;

/** A rate is that of so many samples, half a minute: longer than the time between two blocks of most chains. */
const RATE_SAMPLES = 16;

/** The events of a module that the page keeps. */
const EVENTS_MAX = 200;

/** The modules with samples and events. An installation has hundreds. */
const MODULES_MAX = 1_000;

/** Stages in which a module needs no one. */
const CALM = new Set([
  "running",
  "serving",
  "starting",
  "loading",
  "replaying",
  "stopped",
  "removed",
  "disabled",
  "standby",
]);

export function isCalm(stage) {
  return CALM.has(stage);
}

/** The recent past of a module. */
class Past {
  /** When each sample was taken, in seconds, and the values. */
  times = [];
  rates = [];
  behind = [];
  /** The last handled and failed events, oldest first. */
  events = [];
  /** The counts from which the next rate follows. */
  #counts = [];

  sample({ handled, events }, at) {
    // The count of a process that restarted begins at 0.
    if (handled < this.#counts.at(-1)?.handled) this.#counts = [];
    this.#counts.push({ at, handled });
    if (this.#counts.length > RATE_SAMPLES) this.#counts.shift();
    const [first] = this.#counts;
    const behind = (events?.chains ?? []).map((chain) => chain.behind).filter((value) => value != null);
    this.times.push(at);
    this.rates.push(at > first.at ? (handled - first.handled) / (at - first.at) : null);
    this.behind.push(behind.length > 0 ? Math.max(...behind) : null);
    for (const values of [this.times, this.rates, this.behind]) {
      if (values.length > SAMPLES_MAX) values.shift();
    }
  }

  add(event) {
    this.events.push(event);
    if (this.events.length > EVENTS_MAX) this.events.shift();
  }
}

/** Tells its listeners `changed`, and `refused` when the token is not valid any more. */
class State extends EventTarget {
  modules = null;
  chains = [];
  health = null;
  /** When the answers arrived, and why the last look failed. */
  at = null;
  failure = null;
  /** Whether the stream of events is connected, and how many events it lost. */
  isLive = false;
  lost = 0;
  /** When the last condition that needed the operator ended. */
  lastEnded = null;
  hasNewPage = false;
  #version = null;
  #pasts = new Map();
  #isRunning = false;
  #isLooking = false;
  #timer = null;
  #due = 0;
  #notice = null;
  #events = new Stream("/v1/events?limit=200", {
    message: (event) => this.#take(event),
    gap: (gap) => this.#missed(gap),
    open: () => this.#live(true),
    lost: (error) => this.#disconnected(error),
  });

  start() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#events.start();
    this.#lookIn(0);
  }

  /** Ends all requests, for a page that is not visible. */
  stop() {
    this.#isRunning = false;
    this.#events.stop();
    clearTimeout(this.#timer);
    this.#timer = null;
    this.isLive = false;
  }

  module(name) {
    return this.modules?.find((module) => module.name === name);
  }

  past(name) {
    if (!this.#pasts.has(name)) {
      if (this.#pasts.size >= MODULES_MAX) this.#pasts.delete(this.#pasts.keys().next().value);
      this.#pasts.set(name, new Past());
    }
    return this.#pasts.get(name);
  }

  /** Since when everything is as it is: the last change of a module, a chain or a condition. */
  get calmSince() {
    const modules = (this.modules ?? []).map((module) => module.reason_since_ms);
    const chains = this.chains.map((chain) => chain.following?.since_ms);
    const times = [...modules, ...chains, this.lastEnded].filter((time) => time != null);
    return times.length === 0 ? null : Math.max(...times);
  }

  async #look() {
    this.#timer = null;
    this.#isLooking = true;
    const begin = performance.now();
    try {
      const answers = await Promise.all([get("/v1/modules"), get("/v1/chains"), get("/v1/health")]);
      [this.modules, this.chains, this.health] = answers;
      this.at = Date.now();
      this.failure = null;
      const seconds = this.at / 1_000;
      for (const module of this.modules.slice(0, MODULES_MAX)) this.past(module.name).sample(module, seconds);
      if (this.#version == null) await this.#checkPage();
    } catch (error) {
      this.#failed(error);
    }
    this.#changed();
    const took = performance.now() - begin;
    this.#isLooking = false;
    this.#lookIn(Math.max(LOOK_EVERY_MS, took / LOOK_SHARE_MAX));
  }

  /** Looks at the daemon after this time, unless an earlier look waits already. */
  #lookIn(ms) {
    const due = performance.now() + ms;
    if (!this.#isRunning || this.#isLooking || (this.#timer != null && this.#due <= due)) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.#look(), ms);
  }

  #failed(error) {
    this.failure = error;
    if (error?.status === 401) this.dispatchEvent(new Event("refused"));
  }

  async #checkPage() {
    const version = await pageVersion();
    this.hasNewPage = this.#version != null && version !== this.#version;
    this.#version ??= version;
  }

  #take(event) {
    if (event.module != null && (event.kind === "handled" || event.kind === "failed" || event.kind === "dead_letter")) {
      this.past(event.module).add(event);
    }
    if (event.kind === "condition_ended") this.lastEnded = Math.max(this.lastEnded ?? 0, event.at_ms);
    if (event.kind === "stage" || event.kind.startsWith("condition_")) this.#lookIn(LOOK_SOON_MS);
    this.#changed();
  }

  #missed(gap) {
    this.lost += gap.lost ?? 0;
    if (gap.why === "restarted") this.#checkPage().catch((error) => this.#failed(error));
  }

  #live(isLive) {
    if (this.isLive === isLive) return;
    this.isLive = isLive;
    if (isLive) this.#lookIn(0);
    this.#changed();
  }

  #disconnected(error) {
    this.#live(false);
    if (error != null) this.#failed(error);
    this.#lookIn(0);
  }

  #changed() {
    this.#notice ??= setTimeout(() => {
      this.#notice = null;
      this.dispatchEvent(new Event("changed"));
    }, CHANGED_EVERY_MS);
  }
}

export const state = new State();

/** A view: makes its elements once with `build`, and brings them up to date with `refresh`. */
export class View extends HTMLElement {
  #refresh = () => this.refresh();

  connectedCallback() {
    this.build();
    this.refresh();
    state.addEventListener("changed", this.#refresh);
  }

  disconnectedCallback() {
    state.removeEventListener("changed", this.#refresh);
    this.close?.();
  }
}
