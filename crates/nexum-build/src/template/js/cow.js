// Asks the CoW Protocol order book for a price every few blocks, and logs it.

import { cow, HostError, log } from "#nexum";

// The trader of a request that only asks for a price.
const TRADER = "0x1111111111111111111111111111111111111111";

let settings;

export function init(config) {
  settings = { ...config, every: Number(config.every) };
}

export function onBlock({ chainId, number }) {
  if (number % settings.every !== 0) return;
  try {
    const { quote } = cow.quote(chainId, {
      kind: "sell",
      sellToken: settings.sell_token,
      buyToken: settings.buy_token,
      sellAmountBeforeFee: settings.sell_amount,
      from: TRADER,
      priceQuality: "optimal",
    });
    log.info(`block ${number}: ${quote.sellAmount} buy ${quote.buyAmount}`);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    // A later block asks again, so a retry of this event gains nothing.
    log.warn(`block ${number}: no price: ${error.message}`);
  }
}
