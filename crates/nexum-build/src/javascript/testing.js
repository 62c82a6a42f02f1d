// Runs a module natively against a fake of the host: `node --test`. `nexum build` writes this file
// to `build/nexum`; a test imports it as "#nexum/testing".

import { connect, fromHex, HostError, toHex } from "./nexum.js";
import { answer, deliver, start } from "./guest.js";
import { fetch } from "./web.js";

// An event without a chain id is of anvil's chain.
const CHAIN_ID = 31337;

// A module with its fake host. A handler that throws loses its writes, as in nexum. The variables
// of the module's file outlive it here, and do not in nexum.
export class Harness {
  // The log records so far: `{ level, message }`.
  logs = [];
  // The chain requests so far: `{ chainId, method, params }`.
  requests = [];
  // The submitted orders so far: `{ chainId, order }`.
  orders = [];
  // The addresses that the module may sign for, in hex.
  accounts = [];
  // The keys and values, as a Map of bytes.
  stored = new Map();

  #module;
  #config;
  #started = false;
  #answers = new Map();
  #responses = [];
  #orderBook = absent("request to the order book", "onCow");
  #submitted = absent("order", "onOrder");
  #signer = absent("signature", "onSign");

  constructor(module, config = {}) {
    this.#module = module;
    this.#config = config;
  }

  // Answers a JSON-RPC method with `handler(params, chainId)`, which may throw a HostError.
  onRequest(method, handler) {
    this.#answers.set(method, handler);
    return this;
  }

  // Answers HTTP requests with `handler(request)`, which returns `{ status, body }` or null.
  onFetch(handler) {
    this.#responses.push(handler);
    return this;
  }

  // Answers requests to the order book with `handler({ chainId, method, path, body })`. It returns the
  // answer as a value, or throws a HostError. `body` is parsed, or null.
  onCow(handler) {
    this.#orderBook = handler;
    return this;
  }

  // Answers submitted orders with `handler(order, chainId)`. It returns the UID, or throws a HostError.
  onOrder(handler) {
    this.#submitted = handler;
    return this;
  }

  // Signs with `handler({ account, message })`, or `handler({ account, data })` for typed data. It
  // returns the signature in hex, or throws a HostError. The host refuses other accounts than those
  // of `accounts`.
  onSign(handler) {
    this.#signer = handler;
    return this;
  }

  block({ number, chainId = CHAIN_ID, timestamp = 0, hash = "0x" + "00".repeat(32) }) {
    this.#event("block", { chainId, number, timestamp, hash: fromHex(hash) });
  }

  // Delivers the logs of one block. Each log has `address`, `topics` and `data` in hex.
  emit(...logs) {
    const zero = "0x" + "00".repeat(32);
    const list = logs.map((log, index) => ({
      chainId: log.chainId ?? CHAIN_ID,
      address: fromHex(log.address),
      topics: (log.topics ?? []).map(fromHex),
      data: fromHex(log.data ?? "0x"),
      blockNumber: log.blockNumber ?? 0,
      transactionHash: fromHex(log.transactionHash ?? zero),
      logIndex: log.logIndex ?? index,
    }));
    this.#event("logs", list);
  }

  // Delivers a time of a schedule, in milliseconds since the Unix epoch.
  tick(firedAt) {
    this.#event("tick", { firedAt });
  }

  // Asks the module a query, and returns the bytes of its answer. `init` runs first, as for an
  // instance of its own. Both read the store, and may neither write nor call another interface.
  query(input = new Uint8Array()) {
    return this.#run(this.#inQuery(), () => {
      this.#start();
      return answer(this.#module, input);
    });
  }

  // The text of a stored value, or null.
  text(key) {
    const value = this.stored.get(key);
    return value === undefined ? null : new TextDecoder().decode(value);
  }

  #event(tag, val) {
    const before = new Map(this.stored);
    try {
      this.#run(this.#interfaces(), () => {
        if (!this.#started) {
          this.#start();
          this.#started = true;
        }
        deliver(this.#module, { tag, val });
      });
    } catch (error) {
      this.#started = false;
      this.stored = before;
      throw error;
    }
  }

  // Runs code of the module. Throws the error of the handler itself.
  #run(interfaces, action) {
    connect(interfaces);
    globalThis.fetch = fetch;
    try {
      return action();
    } catch (error) {
      throw error.cause ?? error;
    }
  }

  #start() {
    start(this.#module, Object.entries(this.#config).map(([key, value]) => [key, String(value)]));
  }

  #inQuery() {
    const { store, logging, random, ...others } = this.#interfaces();
    const { set, delete: remove, ...reads } = store;
    const refused = Object.entries(others).map(([capability, functions]) => {
      const domain = capability === "cow" ? "cow-api" : capability;
      return [capability, denied(functions, domain, `${domain} may not be called by a query`)];
    });
    return {
      ...Object.fromEntries(refused),
      logging,
      random,
      store: { ...reads, ...denied({ set, delete: remove }, "local-store", "a query may not write") },
    };
  }

  #interfaces() {
    return {
      chain: {
        request: (chainId, method, params) => this.#request(chainId, method, params),
        requestBatch: (chainId, requests) => requests.map((each) => this.#settle(chainId, each)),
      },
      store: {
        get: (key) => this.stored.get(key) ?? null,
        set: (key, value) => void this.stored.set(key, Uint8Array.from(value)),
        delete: (key) => void this.stored.delete(key),
        listKeys: (prefix) => [...this.stored.keys()].filter((key) => key.startsWith(prefix)).sort(),
      },
      logging: { log: (level, message) => void this.logs.push({ level, message }) },
      random: { fill: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)) },
      http: { fetch: (request) => this.#fetch(request) },
      cow: {
        request: (chainId, method, path, body) => {
          const request = { chainId, method, path, body: body === null ? null : JSON.parse(body) };
          return JSON.stringify(payload(() => this.#orderBook(request)));
        },
        submitOrder: (chainId, bytes) => {
          const order = JSON.parse(new TextDecoder().decode(bytes));
          this.orders.push({ chainId, order });
          return payload(() => this.#submitted(order, chainId));
        },
      },
      identity: {
        accounts: () => this.accounts.map(fromHex),
        sign: (account, message) => this.#sign(account, { message }),
        signTypedData: (account, data) => this.#sign(account, { data: JSON.parse(data) }),
      },
    };
  }

  #request(chainId, method, params) {
    const parsed = JSON.parse(params);
    this.requests.push({ chainId, method, params: parsed });
    const handler = this.#answers.get(method);
    if (handler === undefined) throw new Error(`the test has no answer for ${method} ${params}; add onRequest("${method}", ...)`);
    return JSON.stringify(payload(() => handler(parsed, chainId)));
  }

  #settle(chainId, { method, params }) {
    try {
      return { tag: "ok", val: this.#request(chainId, method, params) };
    } catch (error) {
      if (error.payload === undefined) throw error;
      return { tag: "err", val: error.payload };
    }
  }

  #sign(bytes, content) {
    return payload(() => {
      const account = toHex(bytes);
      if (!this.accounts.some((known) => known.toLowerCase() === account)) {
        throw new HostError({ domain: "identity", kind: "denied", message: "the module has no such account" });
      }
      return fromHex(this.#signer({ account, ...content }));
    });
  }

  #fetch(request) {
    for (const handler of this.#responses) {
      const found = payload(() => handler(request));
      if (found) {
        const { status = 200, headers = {}, body = "" } = found;
        const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
        const list = Object.entries(headers).map(([name, value]) => ({ name, value }));
        return { status, headers: list, body: bytes };
      }
    }
    throw new Error(`the test has no response for ${request.method} ${request.url}; add onFetch(...)`);
  }
}

// A handler for a call that the test does not expect.
function absent(subject, method) {
  return (value) => {
    throw new Error(`the test has no answer for the ${subject} ${JSON.stringify(value)}; add ${method}(...)`);
  };
}

// These functions, as a host that refuses them.
function denied(functions, domain, message) {
  const refuse = () => {
    throw new HostError({ domain, kind: "denied", message });
  };
  return Object.fromEntries(Object.keys(functions).map((name) => [name, () => payload(refuse)]));
}

// Throws a HostError in the form that the component model gives it.
function payload(handler) {
  try {
    return handler();
  } catch (error) {
    if (error instanceof HostError) error.payload = error.toRecord();
    throw error;
  }
}
