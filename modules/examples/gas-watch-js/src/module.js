// Keeps the price of gas, and counts the transfers of tokens.

import { chain, log, store } from "#nexum";

const WEI_PER_GWEI = 1_000_000_000;

// The settings. nexum calls `init` for each instance, so a variable may hold them; what must last
// is in the store.
let settings;

export function init({ warn_above_gwei, report_url }) {
  const limit = Number(warn_above_gwei);
  if (!Number.isFinite(limit)) throw new Error(`warn_above_gwei is no number: ${warn_above_gwei}`);
  settings = { limit, reportUrl: report_url };
}

export function onBlock({ chainId, number }) {
  const price = Number(chain(chainId).request("eth_gasPrice")) / WEI_PER_GWEI;
  const seen = store.getJson("gas", { blocks: 0, highest: 0 });
  seen.blocks += 1;
  seen.highest = Math.max(seen.highest, price);
  store.setJson("gas", seen);
  if (price > settings.limit) log.warn(`block ${number}: gas costs ${price} gwei`);
}

export function onLogs(logs) {
  store.setJson("transfers", store.getJson("transfers", 0) + logs.length);
  for (const { address, blockNumber } of logs) log.info(`block ${blockNumber}: a transfer of ${address}`);
}

// Reports once after each block.
export function onTick(firedAt) {
  const report = summary();
  if (report.blocks === 0 || report.blocks === store.getJson("reported", 0)) return;
  store.setJson("reported", report.blocks);
  log.info(new Date(firedAt).toISOString(), report);
  if (settings.reportUrl === undefined) return;
  const response = fetch(settings.reportUrl, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(report),
  });
  if (!response.ok) throw new Error(`the report was answered with ${response.status} ${response.text()}`);
}

export function query() {
  return summary();
}

function summary() {
  return { ...store.getJson("gas", { blocks: 0, highest: 0 }), transfers: store.getJson("transfers", 0) };
}
