import assert from "node:assert";
import test from "node:test";

import { Harness } from "#nexum/testing";
import * as module from "../src/module.js";

test("answers with the count", () => {
  const nexum = new Harness(module);
  nexum.block({ number: 5 });
  nexum.block({ number: 6 });
  assert.equal(new TextDecoder().decode(nexum.query()), '{"blocks":2}');
});
