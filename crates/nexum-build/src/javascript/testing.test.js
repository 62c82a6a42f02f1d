// Checks the fake of the host, and what a handler may not do.

import assert from "node:assert";
import test from "node:test";

import { cow, HostError, identity } from "./nexum.js";
import { Harness } from "./testing.js";

const ACCOUNT = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const SIGNATURE = "0x" + "1b".repeat(65);

test("signs for the accounts of the test", () => {
  const seen = [];
  const signed = [];
  const nexum = new Harness({
    onTick() {
      const [account] = identity.accounts();
      signed.push(account, identity.sign(account, "hello"), identity.signTypedData(account, { types: {} }));
      identity.sign("0x" + "22".repeat(20), "hello");
    },
  }).onSign(({ account, message, data }) => {
    seen.push([account, message && new TextDecoder().decode(message), data]);
    return SIGNATURE;
  });
  nexum.accounts = [ACCOUNT];
  assert.throws(() => nexum.tick(0), { kind: "denied", domain: "identity", message: "the module has no such account" });
  const account = ACCOUNT.toLowerCase();
  assert.deepEqual(signed, [account, SIGNATURE, SIGNATURE]);
  assert.deepEqual(seen, [
    [account, "hello", undefined],
    [account, undefined, { types: {} }],
  ]);
});

test("keeps orders, and gives the answer of the test", () => {
  const nexum = new Harness({ onTick: () => cow.submitOrder(1, { kind: "sell" }) });
  assert.throws(() => nexum.tick(0), /the test has no answer for the order .*; add onOrder\(\.\.\.\)/);
  nexum.onOrder((order, chainId) => `${order.kind} ${chainId}`);
  nexum.tick(0);
  nexum.onOrder(() => {
    throw new HostError({ kind: "unavailable", message: "down" });
  });
  assert.throws(() => nexum.tick(0), { kind: "unavailable", isRetryable: true });
  assert.deepEqual(nexum.orders, Array(3).fill({ chainId: 1, order: { kind: "sell" } }));
});

test("refuses a query the order book and signatures", () => {
  const refused = [];
  const query = () => {
    for (const call of [() => cow.quote(1, {}), () => identity.accounts()]) {
      try {
        call();
      } catch ({ kind, message }) {
        refused.push([kind, message]);
      }
    }
  };
  new Harness({ query }).query();
  assert.deepEqual(refused, [
    ["denied", "cow-api may not be called by a query"],
    ["denied", "identity may not be called by a query"],
  ]);
});

test("a promise of a handler is an error that names it", () => {
  const message = /^onTick returned a promise; .* remove `async` and `await`$/;
  const nexum = new Harness({ onTick: async () => {}, query: async () => 1 });
  assert.throws(() => nexum.tick(0), { name: "TypeError", message });
  assert.throws(() => nexum.query(), { message: /^query returned a promise; / });
  assert.match(nexum.logs[0].message, /^onTick failed: TypeError: onTick returned a promise/);
});
