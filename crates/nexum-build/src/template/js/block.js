// Logs the price of gas at each block, and counts the blocks.

import { chain, log, store } from "#nexum";

export function onBlock({ chainId, number }) {
  const price = BigInt(chain(chainId).request("eth_gasPrice"));
  // nexum keeps the count when the module restarts.
  const count = store.getJson("blocks", 0) + 1;
  store.setJson("blocks", count);
  log.info(`block ${number}: gas costs ${price} wei; ${count} blocks so far`);
}
