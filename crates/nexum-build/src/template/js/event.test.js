import assert from "node:assert";
import test from "node:test";

import { Harness } from "#nexum/testing";
import * as module from "../src/module.js";

const address = "0x" + "11".repeat(20);
const topic = "0x" + "22".repeat(32);
const topics = [topic, topic, topic];

test("logs large transfers and counts all of amounts", () => {
  const nexum = new Harness(module, { least: 1000 });
  nexum.emit(
    { address, topics, data: "0x03e8", blockNumber: 7 },
    { address, topics, data: "0x03e7", blockNumber: 7 },
    { address, topics: [...topics, topic], data: "0x", blockNumber: 7 },
  );
  assert.equal(nexum.text("transfers"), "2");
  assert.deepEqual(nexum.logs, [
    { level: "info", message: `block 7: a transfer of 1000 of the token ${address}` },
  ]);
});
