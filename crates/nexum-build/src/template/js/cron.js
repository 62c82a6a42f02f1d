// Reads the balance of an account every ten seconds, and logs each change.

import { chain, log, store } from "#nexum";

let account;

export function init(config) {
  account = config.account;
}

export function onTick() {
  const balance = String(chain(31337).balance(account));
  if (balance === store.getText("balance")) return;
  // nexum keeps the balance when the module restarts.
  store.set("balance", balance);
  log.info(`${account} has ${balance} wei`);
}
