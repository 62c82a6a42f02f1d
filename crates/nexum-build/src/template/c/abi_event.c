// Logs an event of the contract `{{contract}}`, and counts it. nexum.toml subscribes to every event of
// the ABI, and events.h has a function for each.

#include <inttypes.h>

#include "events.h"
#include "nexum.h"

int on_logs(const nexum_log_entry *logs, size_t count) {
  uint64_t events;
  if (nexum_store_get_u64("events", &events)) return 1;
  for (size_t i = 0; i < count; i++) {
    event_{{event}} found;
    if (!decode_{{event}}(&logs[i], &found)) continue;
    events++;
    const char *contract = nexum_hex(logs[i].address.ptr, logs[i].address.len);
    nexum_info("block %" PRIu64 ": {{event}} of %s", logs[i].block_number, contract);
  }
  // nexum keeps the count when the module restarts.
  return nexum_store_set_u64("events", events);
}
