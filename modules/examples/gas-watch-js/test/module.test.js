import assert from "node:assert";
import test from "node:test";

import { chain, store } from "#nexum";
import { Harness } from "#nexum/testing";
import * as module from "../src/module.js";

const TOKEN = "0x" + "11".repeat(20);

function harness(config = { warn_above_gwei: 50 }) {
  return new Harness(module, config).onRequest("eth_gasPrice", () => "0xdf8475800");
}

test("keeps the highest price and warns above the limit", () => {
  const nexum = harness({ warn_above_gwei: 59.5 });
  nexum.block({ number: 5 });
  assert.deepEqual(nexum.logs, [{ level: "warn", message: "block 5: gas costs 60 gwei" }]);
  assert.deepEqual(JSON.parse(nexum.text("gas")), { blocks: 1, highest: 60 });
});

test("counts transfers", () => {
  const nexum = harness();
  nexum.emit({ address: TOKEN, blockNumber: 7 }, { address: TOKEN, blockNumber: 7 });
  assert.equal(nexum.text("transfers"), "2");
  assert.equal(nexum.logs[1].message, `block 7: a transfer of ${TOKEN}`);
});

test("reports once after a block", () => {
  const nexum = harness({ warn_above_gwei: 100, report_url: "http://reports.test/" });
  const sent = [];
  nexum.onFetch((request) => {
    sent.push([request.method, request.url, new TextDecoder().decode(request.body)]);
    return { status: 204 };
  });
  nexum.block({ number: 1 });
  nexum.tick(0);
  nexum.tick(1_000);
  const report = '{"blocks":1,"highest":60,"transfers":0}';
  assert.deepEqual(sent, [["POST", "http://reports.test/", report]]);
  assert.equal(nexum.logs[0].message, `1970-01-01T00:00:00.000Z ${report}`);
  assert.equal(new TextDecoder().decode(nexum.query()), report);
});

test("loses the writes of a failed event", () => {
  const nexum = harness({ warn_above_gwei: 100, report_url: "http://reports.test/" });
  nexum.onFetch(() => ({ status: 500, body: "full" }));
  nexum.block({ number: 1 });
  assert.throws(() => nexum.tick(0), { message: "the report was answered with 500 full" });
  assert.equal(nexum.text("reported"), null);
  assert.match(nexum.logs[1].message, /^onTick failed: Error: the report .*\n\s+at .*module\.js:\d+/s);
});

test("refuses a limit that is no number", () => {
  assert.throws(() => harness({ warn_above_gwei: "high" }).tick(0), { message: "warn_above_gwei is no number: high" });
});

test("refuses what a query may not do", () => {
  const refused = [];
  const attempt = (call) => {
    try {
      call();
    } catch ({ domain, kind }) {
      refused.push(`${domain} ${kind}`);
    }
  };
  const init = () => attempt(() => store.set("started", "1"));
  const query = () => {
    attempt(() => store.delete("started"));
    attempt(() => chain(1).request("eth_gasPrice"));
    attempt(() => chain(1).batch([["eth_gasPrice"]]));
    return store.keys().join();
  };
  const nexum = new Harness({ init, query, onBlock: () => {} }).onRequest("eth_gasPrice", () => "0x1");
  nexum.block({ number: 1 });
  assert.deepEqual(refused, []);
  assert.equal(new TextDecoder().decode(nexum.query()), "started");
  assert.deepEqual(refused, ["local-store denied", "local-store denied", "chain denied", "chain denied"]);
  nexum.block({ number: 2 });
  assert.deepEqual([refused.length, nexum.requests, nexum.text("started")], [4, [], "1"]);
});
