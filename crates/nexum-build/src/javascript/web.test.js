// Compares `web.js` with the platform of Node.js.

import assert from "node:assert";
import test from "node:test";

import { connect } from "./nexum.js";
import { fetch, install, Utf8Decoder, Utf8Encoder } from "./web.js";

test("encodes as TextEncoder", () => {
  for (const text of ["", "gas", "\u007f\u0080\u07ff\u0800\uffff", "\u{1f600}\u{10ffff}", "\ud800", "a\udc00b\ud83d"]) {
    assert.deepEqual(new Utf8Encoder().encode(text), new TextEncoder().encode(text), JSON.stringify(text));
  }
  assert.deepEqual(new Utf8Encoder().encode(), new Uint8Array());
});

// Every sequence of these bytes, which are at the bounds of the rules, up to the length of four.
function* sequences() {
  const bounds = [0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5];
  let open = [[]];
  for (let length = 1; length <= 4; length++) {
    open = open.flatMap((bytes) => bounds.map((byte) => [...bytes, byte]));
    yield* open;
  }
}

test("decodes as TextDecoder", () => {
  const [ours, theirs] = [new Utf8Decoder(), new TextDecoder()];
  for (const list of sequences()) {
    const bytes = Uint8Array.from(list);
    if (ours.decode(bytes) !== theirs.decode(bytes)) assert.fail(`${list}`);
  }
  const long = new TextEncoder().encode("\u20ac".repeat(10_000));
  assert.equal(ours.decode(long), theirs.decode(long));
  assert.equal(ours.decode(long.buffer), theirs.decode(long));
});

test("refuses what TextDecoder refuses", () => {
  for (const list of [[0x80], [0xc2], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]]) {
    assert.throws(() => new Utf8Decoder("utf-8", { fatal: true }).decode(Uint8Array.from(list)), TypeError);
  }
  assert.throws(() => new Utf8Decoder("latin1"), RangeError);
});

test("removes one byte order mark", () => {
  const bytes = Uint8Array.from([0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, 0x41]);
  for (const ignoreBOM of [false, true]) {
    const options = { ignoreBOM };
    assert.equal(new Utf8Decoder("utf-8", options).decode(bytes), new TextDecoder("utf-8", options).decode(bytes));
  }
});

// No test before this one connects a host.
test("has the generator of the engine alone while the module is loaded", () => {
  const target = { Math: { random: () => 0.25 } };
  install(target);
  assert.equal(target.Math.random(), 0.25);
  assert.throws(() => target.console.log("a"), {
    domain: "logging",
    message: "the host cannot be called while the module's file is loaded: call it in a handler",
  });
  connect({ random: { fill: (length) => new Uint8Array(length) } });
  assert.equal(target.Math.random(), 0);
  assert.throws(() => target.console.log("a"), {
    message: 'nexum.toml does not list the capability "logging" in [capabilities]',
  });
});

test("installs the parts that the engine lacks", () => {
  const logged = [];
  let byte = 0;
  connect({
    logging: { log: (level, message) => logged.push([level, message]) },
    random: { fill: (length) => Uint8Array.from({ length }, () => (byte += 37) & 255) },
    http: { fetch: () => ({ status: 201, headers: [{ name: "X-A", value: "1" }], body: [123, 125] }) },
  });
  const target = { Math: {} };
  install(target);
  target.console.warn("a", 1n, { b: [2] }, null, undefined);
  assert.deepEqual(logged, [["warn", 'a 1 {"b":[2]} null undefined']]);
  const number = target.Math.random();
  assert.ok(number >= 0 && number < 1);
  assert.match(target.crypto.randomUUID(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const response = fetch("http://a.test/");
  assert.deepEqual([response.ok, response.status, response.headers.get("x-a"), response.json()], [true, 201, "1", {}]);
});
