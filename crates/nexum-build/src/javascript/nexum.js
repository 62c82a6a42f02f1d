// The host's functions for modules in JavaScript. `nexum build` writes this file to `build/nexum`;
// a module imports it as "#nexum".
//
// The host can be called while a handler runs, and not while the module's file is loaded: that
// happens once, when the component is built.

// The interfaces of the contract that the component imports, by capability. Undefined while the
// module's file is loaded.
let host;

// Gives this file its host: the imports of the component, or the fake of a test.
export function connect(interfaces) {
  host = interfaces;
}

// Whether the host can be called.
export function isConnected() {
  return host !== undefined;
}

// The interface of a capability. Throws while the module's file is loaded, and if `nexum.toml` does
// not list the capability.
function use(capability) {
  const found = host?.[capability];
  if (found === undefined) {
    const message = isConnected()
      ? `nexum.toml does not list the capability "${capability}" in [capabilities]`
      : "the host cannot be called while the module's file is loaded: call it in a handler";
    throw new HostError({ domain: capability, kind: "unsupported", message });
  }
  return found;
}

const RETRYABLE = ["unavailable", "rate-limited", "timeout"];

// The failure of a host call. A handler may also throw one of its own.
export class HostError extends Error {
  constructor({ domain = "", kind = "internal", code = 0, message = "", data = null }) {
    super(message);
    this.name = "HostError";
    // The interface that failed, for example "chain".
    this.domain = domain;
    // "unsupported", "unavailable", "denied", "rate-limited", "timeout", "invalid-input" or "internal".
    this.kind = kind;
    // The server's number, for example a JSON-RPC code, or 0.
    this.code = code;
    // The server's response body, for example revert data in hex, or null.
    this.data = data;
  }

  // Whether the call can succeed later.
  get isRetryable() {
    return RETRYABLE.includes(this.kind);
  }

  // The error as the contract's record `host-error`.
  toRecord() {
    const { domain, kind, code, message, data } = this;
    return { domain, kind: { tag: kind }, code, message, data };
  }

  static fromRecord(record) {
    return new HostError({ ...record, kind: record.kind.tag, data: record.data ?? null });
  }
}

// The result of a host call. Its error becomes a HostError.
function call(capability, name, ...values) {
  const functions = use(capability);
  try {
    return functions[name](...values);
  } catch (error) {
    throw error?.payload?.kind === undefined ? error : HostError.fromRecord(error.payload);
  }
}

// The name of an exception with its message, and its stack.
export function describe(error) {
  if (!(error instanceof Error)) return String(error);
  // The stack of QuickJS does not begin with the error.
  const title = String(error);
  const stack = error.stack ?? "";
  const whole = stack.startsWith(title) ? stack : `${title}\n${stack}`;
  const cause = error.cause === undefined ? "" : `\ncaused by ${describe(error.cause)}`;
  return whole.trimEnd() + cause;
}

// A value as text: a string as it is, an error with its stack, other values as JSON.
function show(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return describe(value);
  if (value instanceof Uint8Array) return toHex(value);
  if (typeof value === "bigint" || typeof value === "symbol") return String(value);
  try {
    const text = JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? String(inner) : inner));
    return text ?? String(value);
  } catch {
    return String(value);
  }
}

const write = (level) => (...values) => use("logging").log(level, values.map(show).join(" "));

// Log records for the operator.
export const log = {
  trace: write("trace"),
  debug: write("debug"),
  info: write("info"),
  warn: write("warn"),
  error: write("error"),
};

class Chain {
  constructor(id) {
    this.id = id;
  }

  // Sends a JSON-RPC request and returns its result, parsed.
  request(method, params = []) {
    return JSON.parse(call("chain", "request", this.id, method, JSON.stringify(params)));
  }

  // Sends several requests together, each `[method, params]`. Returns one entry per request, in
  // the order of the requests: `{ value }` or `{ error }`.
  batch(requests) {
    const list = requests.map(([method, params = []]) => ({ method, params: JSON.stringify(params) }));
    return call("chain", "requestBatch", this.id, list).map(({ tag, val }) =>
      tag === "ok" ? { value: JSON.parse(val) } : { error: HostError.fromRecord(val) },
    );
  }

  // Calls a contract without a transaction, and returns the 0x-prefixed result. Inside a handler,
  // "latest" is the block of the event.
  call(to, data, block = "latest") {
    return this.request("eth_call", [{ to, data }, block]);
  }

  // The balance of an address in wei, as a BigInt.
  balance(address, block = "latest") {
    return BigInt(this.request("eth_getBalance", [address, block]));
  }
}

// A chain by its id.
export function chain(id) {
  return new Chain(id);
}

// The module's own keys and values. The host keeps an event's writes only if its handler returns.
export const store = {
  // The bytes of a key, or null.
  get: (key) => {
    const value = call("store", "get", key);
    return value === null || value === undefined ? null : toBytes(value);
  },
  // Stores bytes, or a text as UTF-8.
  set: (key, value) => {
    call("store", "set", key, typeof value === "string" ? new TextEncoder().encode(value) : value);
  },
  getText: (key) => {
    const value = store.get(key);
    return value === null ? null : new TextDecoder().decode(value);
  },
  // The value of a key as JSON, or `absent` if there is no such key.
  getJson: (key, absent = null) => {
    const text = store.getText(key);
    return text === null ? absent : JSON.parse(text);
  },
  setJson: (key, value) => store.set(key, JSON.stringify(value)),
  // Deletes a key. An absent key is not an error.
  delete: (key) => call("store", "delete", key),
  // The keys that start with `prefix`, in order.
  keys: (prefix = "") => [...call("store", "listKeys", prefix)],
};

// Sends an HTTP request, and returns the status, the headers and the bytes of the response.
export function send({ method, url, headers, body, timeoutMs = null }) {
  return call("http", "fetch", { method, url, headers, body, timeoutMs });
}

// Signatures with the keys that the operator assigns to the module.
export const identity = {
  // The addresses that the module may sign for.
  accounts: () => call("identity", "accounts").map(toHex),
  // Signs a message as `personal_sign` does.
  sign: (account, message) => {
    const bytes = typeof message === "string" ? new TextEncoder().encode(message) : message;
    return toHex(call("identity", "sign", fromHex(account), bytes));
  },
  // Signs EIP-712 typed data.
  signTypedData: (account, data) =>
    toHex(call("identity", "signTypedData", fromHex(account), JSON.stringify(data))),
};

// The CoW Protocol order book.
export const cow = {
  // Sends a request to the order book of a chain, and returns the body of a 2xx response, parsed.
  request: (chainId, method, path, body) =>
    JSON.parse(call("cow", "request", chainId, method, path, body === undefined ? null : JSON.stringify(body))),
  // The answer of the order book to a request for a price: `{ quote, ... }` with amounts as decimal
  // texts.
  quote: (chainId, order) => cow.request(chainId, "POST", "/api/v1/quote", order),
  // Submits an order and returns its UID.
  submitOrder: (chainId, order) =>
    call("cow", "submitOrder", chainId, new TextEncoder().encode(JSON.stringify(order))),
};

// Unpredictable bytes of the host.
export function randomBytes(length) {
  return toBytes(call("random", "fill", length));
}

// The engine gives bytes as an array of bytes, or as a list of numbers.
export function toBytes(list) {
  return list instanceof Uint8Array ? list : Uint8Array.from(list);
}

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

// Bytes as 0x-prefixed hex.
export function toHex(bytes) {
  let text = "0x";
  for (const byte of bytes) text += DIGITS[byte];
  return text;
}

// The bytes of a hex text, with or without 0x.
export function fromHex(text) {
  const digits = text.startsWith("0x") ? text.slice(2) : text;
  if (digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) {
    throw new TypeError(`not an even number of hex digits: ${text.slice(0, 80)}`);
  }
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}
