import assert from "node:assert";
import test from "node:test";

import { Harness } from "#nexum/testing";
import { {{event}} } from "../src/events.js";
import * as module from "../src/module.js";

const address = "0x" + "11".repeat(20);
const zero = "0x" + "00".repeat(32);

test("logs the event", () => {
  const nexum = new Harness(module);
  // An event whose values are zero or empty, and a log of another event.
  const topics = [{{event}}.topic, ...Array({{indexed}}).fill(zero)];
  nexum.emit({ address, topics, data: "{{data}}", blockNumber: 7 }, { address, topics: [zero], blockNumber: 7 });
  assert.equal(nexum.text("events"), "1");
  assert.equal(nexum.logs.length, 1);
  assert.ok(nexum.logs[0].message.startsWith(`block 7: ${{{event}}.name} of ${address} {`));
});
