import assert from "node:assert";
import test from "node:test";

import { Harness } from "#nexum/testing";
import * as module from "../src/module.js";

test("logs the price of gas", () => {
  const nexum = new Harness(module).onRequest("eth_gasPrice", () => "0x7");
  nexum.block({ number: 5 });
  nexum.block({ number: 6 });
  assert.deepEqual(
    nexum.logs.map(({ message }) => message),
    ["block 5: gas costs 7 wei; 1 blocks so far", "block 6: gas costs 7 wei; 2 blocks so far"],
  );
});
