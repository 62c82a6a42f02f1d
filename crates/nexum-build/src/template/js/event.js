// Counts the transfers of tokens, and logs the large ones.

import { log, store } from "#nexum";

let least;

export function init(config) {
  least = BigInt(config.least);
}

export function onLogs(logs) {
  // A token of ERC-721 has an event with this signature, and a fourth topic in place of the amount.
  const transfers = logs.filter(({ topics }) => topics.length === 3);
  for (const { address, blockNumber, data } of transfers) {
    const amount = BigInt(data);
    if (amount >= least) log.info(`block ${blockNumber}: a transfer of ${amount} of the token ${address}`);
  }
  // nexum keeps the count when the module restarts.
  store.setJson("transfers", store.getJson("transfers", 0) + transfers.length);
}
