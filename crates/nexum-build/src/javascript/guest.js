// Connects the exports of the contract with the handlers of a module. The generated entry point
// and `testing.js` call it.

import { describe, HostError, log, toBytes, toHex } from "./nexum.js";

// Each handler, and its argument made of the contract's value.
const HANDLERS = {
  block: ["onBlock", (block) => ({ ...block, hash: toHex(block.hash) })],
  logs: ["onLogs", (logs) => logs.map(toLog)],
  tick: ["onTick", (tick) => tick.firedAt],
  message: ["onMessage", (message) => message],
};

function toLog(found) {
  return {
    ...found,
    address: toHex(found.address),
    topics: found.topics.map(toHex),
    data: toHex(found.data),
    transactionHash: toHex(found.transactionHash),
  };
}

// Calls the module's `init` with its configuration as an object. Reports an exception as `deliver`.
export function start(module, config) {
  if (module.init !== undefined) attempt("init", () => module.init(Object.fromEntries(config)));
}

// Calls the handler of an event. An exception becomes a record of the log with its stack, and the
// error that fails the event.
export function deliver(module, event) {
  const [name, argument] = HANDLERS[event.tag];
  attempt(name, () => {
    if (module[name] === undefined) {
      throw new Error(`the module has a subscription for ${name}, and does not export it`);
    }
    return module[name](argument(event.val));
  });
}

// Answers a query with the bytes or the text of the module's `query`. Other values become JSON.
export function answer(module, input) {
  return attempt("query", () => {
    const value = module.query(toBytes(input));
    if (value instanceof Uint8Array || typeof value?.then === "function") return value;
    return new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value ?? null));
  });
}

function attempt(name, handler) {
  try {
    const value = handler();
    if (typeof value?.then === "function") {
      throw new TypeError(
        `${name} returned a promise; the calls of the host are synchronous, and so are handlers: ` +
          "remove `async` and `await`",
      );
    }
    return value;
  } catch (error) {
    log.error(`${name} failed: ${describe(error)}`);
    throw toFailure(error);
  }
}

// An error with the contract's record as `payload`, which the engine passes to the host.
function toFailure(error) {
  const failure = error instanceof HostError ? error : new HostError({ domain: "module", message: String(error) });
  const thrown = new Error(failure.message, { cause: error });
  thrown.payload = failure.toRecord();
  return thrown;
}
