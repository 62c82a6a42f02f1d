// Logs the events of the contract `{{contract}}`, and counts them.

import { log, store } from "#nexum";
import { decode } from "#nexum/abi";
import { EVENTS } from "./events.js";

export function onLogs(logs) {
  // nexum keeps the count when the module restarts.
  let count = store.getJson("events", 0);
  for (const each of logs) {
    // For one event: `{{event}}.decode(each)`, with `{{event}}` of events.js.
    const found = decode(EVENTS, each);
    if (found === null) continue;
    count += 1;
    log.info(`block ${each.blockNumber}: ${found.name} of ${each.address}`, found.args);
  }
  store.setJson("events", count);
}
