// Counts the transfers of tokens, and logs each.

#include <inttypes.h>

#include "nexum.h"

int on_logs(const nexum_log_entry *logs, size_t count) {
  uint64_t transfers;
  if (nexum_store_get_u64("transfers", &transfers)) return 1;
  for (size_t i = 0; i < count; i++) {
    // A token of ERC-721 has an event with this signature, and a fourth topic in place of the amount.
    if (logs[i].topics.len != 3) continue;
    transfers++;
    const char *token = nexum_hex(logs[i].address.ptr, logs[i].address.len);
    const char *amount = nexum_hex(logs[i].data.ptr, logs[i].data.len);
    nexum_info("block %" PRIu64 ": a transfer of %s of the token %s", logs[i].block_number, amount, token);
  }
  // nexum keeps the count when the module restarts.
  return nexum_store_set_u64("transfers", transfers);
}
