import assert from "node:assert";
import test from "node:test";

import { HostError } from "#nexum";
import { Harness } from "#nexum/testing";
import * as module from "../src/module.js";

test("logs a price every few blocks", () => {
  const nexum = new Harness(module, { sell_token: "0x1", buy_token: "0x2", sell_amount: "7", every: 10 });
  nexum.onCow(({ method, path, body }) => {
    assert.deepEqual([method, path, body.sellAmountBeforeFee], ["POST", "/api/v1/quote", "7"]);
    return { quote: { sellAmount: "7", buyAmount: "9" } };
  });
  for (const number of [19, 20, 21]) nexum.block({ number });
  nexum.onCow(() => {
    throw new HostError({ kind: "unavailable", message: "the order book is down" });
  });
  nexum.block({ number: 30 });
  assert.deepEqual(nexum.logs, [
    { level: "info", message: "block 20: 7 buy 9" },
    { level: "warn", message: "block 30: no price: the order book is down" },
  ]);
});
