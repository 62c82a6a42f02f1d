// Counts the transfers of tokens, and logs the large ones.

import { log, store } from "#nexum";

let least;

export function init(config) {
  least = BigInt(config.least);
}

export function onLogs(logs) {
  for (const { address, blockNumber, data } of logs) {
    const amount = BigInt(data);
    if (amount >= least) log.info(`block ${blockNumber}: a transfer of ${amount} of the token ${address}`);
  }
  // nexum keeps the count when the module restarts.
  store.setJson("transfers", store.getJson("transfers", 0) + logs.length);
}
