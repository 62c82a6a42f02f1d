// The parts of the web platform that the engine lacks, for modules in JavaScript: console,
// TextEncoder, TextDecoder, fetch, crypto and a Math.random that differs between instances. The
// generated entry point installs them before it loads the module.

import { isConnected, log, randomBytes, send, toBytes } from "./nexum.js";

// The code point that replaces a malformed sequence.
const REPLACEMENT = 0xfffd;

// At the beginning of a text, it says that the text is Unicode, and is no part of it.
const BYTE_ORDER_MARK = 0xfeff;

// The most code points that one call of String.fromCodePoint gets: engines bound the number of
// arguments.
const POINTS_MAX = 4096;

class Utf8Encoder {
  get encoding() {
    return "utf-8";
  }

  encode(value = "") {
    const text = String(value);
    // Each unit of the text takes at most three bytes.
    const bytes = new Uint8Array(3 * text.length);
    let length = 0;
    for (let at = 0; at < text.length; at++) {
      let point = text.charCodeAt(at);
      if (point < 0x80) {
        bytes[length++] = point;
        continue;
      }
      if (point >= 0xd800 && point <= 0xdfff) {
        const whole = text.codePointAt(at);
        point = whole > 0xffff ? whole : REPLACEMENT;
        if (whole > 0xffff) at++;
      }
      if (point < 0x800) {
        bytes[length++] = 0xc0 | (point >> 6);
      } else {
        if (point < 0x10000) {
          bytes[length++] = 0xe0 | (point >> 12);
        } else {
          bytes[length++] = 0xf0 | (point >> 18);
          bytes[length++] = 0x80 | ((point >> 12) & 0x3f);
        }
        bytes[length++] = 0x80 | ((point >> 6) & 0x3f);
      }
      bytes[length++] = 0x80 | (point & 0x3f);
    }
    return bytes.slice(0, length);
  }
}

// The length of the sequence that a byte begins, and its smallest and largest second byte.
function sequence(first) {
  if (first < 0x80) return [1, 0, 0];
  if (first >= 0xc2 && first <= 0xdf) return [2, 0x80, 0xbf];
  if (first >= 0xe0 && first <= 0xef) return [3, first === 0xe0 ? 0xa0 : 0x80, first === 0xed ? 0x9f : 0xbf];
  if (first >= 0xf0 && first <= 0xf4) return [4, first === 0xf0 ? 0x90 : 0x80, first === 0xf4 ? 0x8f : 0xbf];
  return [0, 0, 0];
}

// The end of the run of ASCII that begins at a position, of at most POINTS_MAX bytes.
function endOfAscii(bytes, from) {
  const most = Math.min(bytes.length, from + POINTS_MAX);
  let at = from;
  while (at < most && bytes[at] < 0x80) at++;
  return at;
}

class Utf8Decoder {
  constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
    if (!["utf-8", "utf8"].includes(String(label).toLowerCase())) {
      throw new RangeError(`TextDecoder of a module knows utf-8 alone, not ${label}`);
    }
    this.fatal = fatal;
    this.ignoreBOM = ignoreBOM;
  }

  get encoding() {
    return "utf-8";
  }

  decode(input = new Uint8Array()) {
    const bytes = ArrayBuffer.isView(input)
      ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
      : new Uint8Array(input);
    let text = "";
    let points = [];
    for (let at = 0; at < bytes.length; ) {
      // The engine converts a run of ASCII at once.
      const end = endOfAscii(bytes, at);
      if (end > at) {
        text += String.fromCodePoint(...points) + String.fromCharCode.apply(null, bytes.subarray(at, end));
        points = [];
        at = end;
        continue;
      }
      const [point, length] = this.#point(bytes, at);
      at += length;
      if (point !== BYTE_ORDER_MARK || at !== length || this.ignoreBOM) points.push(point);
      if (points.length === POINTS_MAX) {
        text += String.fromCodePoint(...points);
        points = [];
      }
    }
    return text + String.fromCodePoint(...points);
  }

  // The code point at a position, and the number of its bytes.
  #point(bytes, at) {
    const first = bytes[at];
    const [length, least, most] = sequence(first);
    if (length === 1) return [first, 1];
    let point = first & (0x7f >> length);
    for (let i = 1; i < length; i++) {
      const next = bytes[at + i];
      const fits = next !== undefined && next >= (i === 1 ? least : 0x80) && next <= (i === 1 ? most : 0xbf);
      if (!fits) return this.#malformed(i);
      point = (point << 6) | (next & 0x3f);
    }
    return length === 0 ? this.#malformed(1) : [point, length];
  }

  #malformed(length) {
    if (this.fatal) throw new TypeError("the bytes are not UTF-8");
    return [REPLACEMENT, length];
  }
}

// The headers of a response. Names are case-insensitive.
class ResponseHeaders {
  #list;

  constructor(list) {
    this.#list = list.map(({ name, value }) => [name.toLowerCase(), value]);
  }

  get(name) {
    const values = this.#list.filter(([found]) => found === name.toLowerCase()).map(([, value]) => value);
    return values.length === 0 ? null : values.join(", ");
  }

  has(name) {
    return this.get(name) !== null;
  }

  entries() {
    return this.#list.map(([name, value]) => [name, value])[Symbol.iterator]();
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}

// A response that has arrived as a whole. Its methods return the body, and no promise.
class HostResponse {
  #body;

  constructor(url, { status, headers, body }) {
    this.url = url;
    this.status = status;
    this.ok = status >= 200 && status < 300;
    this.headers = new ResponseHeaders(headers);
    this.#body = toBytes(body);
  }

  bytes() {
    return this.#body.slice();
  }

  arrayBuffer() {
    return this.bytes().buffer;
  }

  text() {
    return new TextDecoder().decode(this.#body);
  }

  json() {
    return JSON.parse(this.text());
  }
}

// `fetch` of the web platform, but it returns the response and no promise: the host's calls are
// synchronous, and so are handlers. Throws a HostError where no response arrives. `timeoutMs` limits
// the time of the whole request.
export function fetch(resource, { method = "GET", headers = {}, body, timeoutMs = null } = {}) {
  const pairs = typeof headers[Symbol.iterator] === "function" ? [...headers] : Object.entries(headers);
  const bytes = body === undefined || body === null ? null : bytesOf(body);
  const url = String(resource);
  const response = send({
    method: method.toUpperCase(),
    url,
    headers: pairs.map(([name, value]) => ({ name, value: String(value) })),
    body: bytes,
    timeoutMs,
  });
  return new HostResponse(url, response);
}

function bytesOf(body) {
  if (typeof body === "string") return new TextEncoder().encode(body);
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  throw new TypeError("the body of a request is a string or bytes; use JSON.stringify for an object");
}

const crypto = {
  getRandomValues(array) {
    const bytes = randomBytes(array.byteLength);
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(bytes);
    return array;
  },
  randomUUID() {
    const bytes = randomBytes(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  },
};

// The engine's own generator continues from the state at the build, so that every instance of the
// module would get one sequence.
function randomOfHost() {
  const bytes = randomBytes(7);
  let fraction = bytes[0] >> 3;
  for (let i = 1; i < 7; i++) fraction = fraction * 256 + bytes[i];
  return fraction / 2 ** 53;
}

// Puts these parts into the global object of the engine.
export function install(target = globalThis) {
  const parts = { TextEncoder: Utf8Encoder, TextDecoder: Utf8Decoder, fetch, crypto };
  for (const [name, value] of Object.entries(parts)) {
    Object.defineProperty(target, name, { value, writable: true, configurable: true });
  }
  target.console = { ...log, log: log.info };
  // While the module's file is loaded, there is no host.
  const { random } = target.Math;
  target.Math.random = () => (isConnected() || random === undefined ? randomOfHost() : random());
}

export { Utf8Decoder, Utf8Encoder };
