import assert from "node:assert";
import test from "node:test";

import { Harness } from "#nexum/testing";
import * as module from "../src/module.js";

test("logs each change of the balance", () => {
  const balances = ["0x5", "0x5", "0x6"];
  const nexum = new Harness(module, { account: "0x1" }).onRequest("eth_getBalance", () => balances.shift());
  nexum.tick(0);
  nexum.tick(10_000);
  nexum.tick(20_000);
  assert.deepEqual(
    nexum.logs.map(({ message }) => message),
    ["0x1 has 5 wei", "0x1 has 6 wei"],
  );
});
