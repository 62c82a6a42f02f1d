// Asks the CoW Protocol order book for a price every few blocks, and logs it.

#include <inttypes.h>

#include "nexum.h"

// The trader of a request that only asks for a price.
#define TRADER "0x1111111111111111111111111111111111111111"

static uint64_t every;

int on_init(void) {
  if (nexum_config_u64("every", &every)) return 1;
  return every ? 0 : nexum_fail("[config] every is 0");
}

int on_block(const nexum_block *block) {
  if (block->number % every) return 0;
  const char *sell_token = nexum_config("sell_token"), *buy_token = nexum_config("buy_token");
  const char *amount = nexum_config("sell_amount");
  if (!sell_token || !buy_token || !amount) return nexum_fail("[config] lacks a token or the amount");
  const char *order = nexum_text("{\"kind\":\"sell\",\"sellToken\":\"%s\",\"buyToken\":\"%s\","
                                 "\"sellAmountBeforeFee\":\"%s\",\"from\":\"" TRADER "\","
                                 "\"priceQuality\":\"optimal\"}",
                                 sell_token, buy_token, amount);
  const char *answer;
  if (nexum_cow_quote(block->chain_id, order, &answer)) {
    // A later block asks again, so a retry of this event gains nothing.
    nexum_warn("block %" PRIu64 ": no price: %s", block->number, nexum_last_error()->message);
    return 0;
  }
  const char *sold = nexum_json(answer, "quote.sellAmount"), *bought = nexum_json(answer, "quote.buyAmount");
  if (!sold || !bought) return nexum_fail("the answer of the order book has no amounts: %.80s", answer);
  nexum_info("block %" PRIu64 ": %s buy %s", block->number, sold, bought);
  return 0;
}
