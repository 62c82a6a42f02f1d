// Logs the price of gas at each block, and counts the blocks.

#include <inttypes.h>

#include "nexum.h"

int on_block(const nexum_block *block) {
  uint64_t price, count;
  if (nexum_request_u64(block->chain_id, "eth_gasPrice", "[]", &price)) return 1;
  // nexum keeps the count when the module restarts.
  if (nexum_store_get_u64("blocks", &count) || nexum_store_set_u64("blocks", count + 1)) return 1;
  nexum_info("block %" PRIu64 ": gas costs %" PRIu64 " wei; %" PRIu64 " blocks so far", block->number, price,
             count + 1);
  return 0;
}
