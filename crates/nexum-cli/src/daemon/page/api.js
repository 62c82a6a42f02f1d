// Requests to the daemon: answers, and streams that continue after a lost connection.

/** The key of the token in the storage of this tab, which ends with the tab. */
const TOKEN = "nexum.token";

/** The longest wait for an answer. */
const ANSWER_MS_MAX = 15_000;

/** The daemon sends a comment every 15 seconds. A connection that is silent for longer is lost. */
const SILENT_MS_MAX = 40_000;

/** The waits before a stream connects again: twice as long after each failure. */
const PAUSE_MS_MIN = 250;
const PAUSE_MS_MAX = 5_000;

/** The largest message of a stream, in characters: a record has at most some texts of 16 KiB. */
const MESSAGE_CHARS_MAX = 4 << 20;

/** The token. It is only in the storage of this tab and in headers, never in an address. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
};

/** An answer that is an error. */
export class Refused extends Error {
  constructor(status, body) {
    super(body?.error ?? `the daemon answered with status ${status}`);
    this.status = status;
    this.code = body?.code;
    this.hint = body?.hint;
  }
}

/**
 * The answer to a request. It can be an error: see {@link Refused}. The path is relative to that of the page, because a
 * proxy may serve both below a path of its own.
 */
export async function get(path) {
  const response = await ask(path, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  return response.json();
}

async function ask(path, { headers, signal }) {
  const authorization = `Bearer ${token.get() ?? ""}`;
  const response = await fetch(`.${path}`, { headers: { ...headers, authorization }, signal, cache: "no-store" });
  if (response.ok) return response;
  throw new Refused(response.status, await response.json().catch(() => null));
}

/** Whether the token is the one of the daemon. */
export async function admits() {
  try {
    await get("/v1/log-level");
    return true;
  } catch (error) {
    if (error.status === 401) return false;
    throw error;
  }
}

/** The version of this page at the daemon. It changes with an upgrade. */
export async function pageVersion() {
  const response = await fetch("./", { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  return response.headers.get("etag");
}

/**
 * A stream of server-sent events. `EventSource` can send no token, so this reads the answer of `fetch`.
 *
 * The listener gets `message(value)`, `gap(gap)`, `open()`, and `lost(error)` when the stream connects again later.
 */
export class Stream {
  #path;
  #listener;
  #last = null;
  #stop = null;

  constructor(path, listener) {
    this.#path = path;
    this.#listener = listener;
  }

  /** Connects, after the last message that arrived. */
  start() {
    if (this.#stop != null) return;
    this.#stop = new AbortController();
    this.#run(this.#stop.signal);
  }

  stop() {
    this.#stop?.abort();
    this.#stop = null;
  }

  async #run(stop) {
    let pause = PAUSE_MS_MIN;
    while (!stop.aborted) {
      let failure = null;
      try {
        await this.#read(stop, () => (pause = PAUSE_MS_MIN));
      } catch (error) {
        failure = error;
      }
      if (stop.aborted) return;
      this.#listener.lost?.(failure);
      await sleep(pause, stop);
      pause = Math.min(pause * 2, PAUSE_MS_MAX);
    }
  }

  async #read(stop, opened) {
    const connection = new AbortController();
    const end = () => connection.abort();
    stop.addEventListener("abort", end);
    let watch = setTimeout(end, SILENT_MS_MAX);
    try {
      const headers = { accept: "text/event-stream" };
      if (this.#last != null) headers["last-event-id"] = this.#last;
      const response = await ask(this.#path, { headers, signal: connection.signal });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(watch);
        watch = setTimeout(end, SILENT_MS_MAX);
        opened();
        this.#listener.open?.();
        const messages = (rest + value).split("\n\n");
        rest = messages.pop();
        if (rest.length > MESSAGE_CHARS_MAX) throw new Error("a message of the stream is too large");
        for (const message of messages) this.#take(message);
      }
    } finally {
      clearTimeout(watch);
      stop.removeEventListener("abort", end);
      connection.abort();
    }
  }

  #take(message) {
    let event = "message";
    const data = [];
    for (const line of message.split("\n")) {
      const [, field, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
      if (field === "data") data.push(value);
      else if (field === "event") event = value;
      else if (field === "id") this.#last = value;
    }
    if (data.length === 0) return;
    const value = JSON.parse(data.join("\n"));
    if (event === "message") this.#listener.message(value);
    else if (event === "gap") this.#listener.gap?.(value);
  }
}

function sleep(ms, stop) {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    stop.addEventListener("abort", () => {
      clearTimeout(timer);
      done();
    });
  });
}
