// Reads the balance of an account every ten seconds, and logs each change.

#include <string.h>

#include "nexum.h"

int on_tick(uint64_t fired_at) {
  (void)fired_at;
  const char *account = nexum_config("account");
  if (!account) return nexum_fail("nexum.toml has no account in [config]");
  const char *balance;
  const char *params = nexum_text("[\"%s\",\"latest\"]", account);
  if (nexum_request(31337, "eth_getBalance", params, &balance)) return 1;
  nexum_bytes before;
  if (nexum_store_get("balance", &before)) return 1;
  size_t size = strlen(balance);
  if (before.size == size && !memcmp(before.data, balance, size)) return 0;
  nexum_info("%s has %s wei", account, balance);
  // nexum keeps the balance when the module restarts.
  return nexum_store_set("balance", balance, size);
}
