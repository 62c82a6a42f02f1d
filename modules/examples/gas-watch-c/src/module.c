// Keeps the price of gas, and counts the transfers of tokens.

#include <inttypes.h>

#include "nexum.h"

static const uint64_t WEI_PER_GWEI = 1000000000;

// The limit of the warning. nexum calls `on_init` for each instance, so a variable may hold it; what
// must last is in the store.
static uint64_t limit_gwei;

int on_init(void) { return nexum_config_u64("warn_above_gwei", &limit_gwei); }

int on_block(const nexum_block *block) {
  uint64_t price, blocks, highest;
  if (nexum_request_u64(block->chain_id, "eth_gasPrice", "[]", &price)) return 1;
  if (nexum_store_get_u64("blocks", &blocks) || nexum_store_set_u64("blocks", blocks + 1)) return 1;
  if (nexum_store_get_u64("highest", &highest)) return 1;
  if (price > highest && nexum_store_set_u64("highest", price)) return 1;
  if (price / WEI_PER_GWEI > limit_gwei)
    nexum_warn("block %" PRIu64 ": gas costs %" PRIu64 " gwei", block->number, price / WEI_PER_GWEI);
  return 0;
}

int on_logs(const nexum_log_entry *logs, size_t count) {
  uint64_t transfers;
  if (nexum_store_get_u64("transfers", &transfers)) return 1;
  for (size_t i = 0; i < count; i++) {
    const char *token = nexum_hex(logs[i].address.ptr, logs[i].address.len);
    nexum_info("block %" PRIu64 ": a transfer of %s", logs[i].block_number, token);
  }
  return nexum_store_set_u64("transfers", transfers + count);
}

static int summary(const char **text) {
  uint64_t blocks, highest, transfers;
  if (nexum_store_get_u64("blocks", &blocks) || nexum_store_get_u64("highest", &highest)) return 1;
  if (nexum_store_get_u64("transfers", &transfers)) return 1;
  *text = nexum_text("{\"blocks\":%" PRIu64 ",\"highest\":%" PRIu64 ",\"transfers\":%" PRIu64 "}", blocks,
                     highest / WEI_PER_GWEI, transfers);
  return 0;
}

// Reports once after each block.
int on_tick(uint64_t fired_at) {
  uint64_t blocks, reported;
  const char *report;
  if (nexum_store_get_u64("blocks", &blocks) || nexum_store_get_u64("reported", &reported)) return 1;
  if (blocks == reported) return 0;
  if (summary(&report)) return 1;
  nexum_info("%" PRIu64 " %s", fired_at, report);
  return nexum_store_set_u64("reported", blocks);
}

int on_query(nexum_bytes input, nexum_bytes *answer) {
  (void)input;
  const char *text;
  if (summary(&text)) return 1;
  *answer = (nexum_bytes){text, __builtin_strlen(text)};
  return 0;
}
