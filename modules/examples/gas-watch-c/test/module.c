#include <string.h>

#include "testing.h"

#define TOKEN "0x1111111111111111111111111111111111111111"

// The record at an index is a text.
static bool is_logged(size_t index, const char *text) {
  return test_logged(index) && !strcmp(test_logged(index), text);
}

static void keeps_the_highest_price_and_warns_above_the_limit(void) {
  test_begin();
  test_config("warn_above_gwei", "59");
  test_answer("eth_gasPrice", "\"0xdf8475800\"");
  EXPECT(test_block(5));
  EXPECT(is_logged(0, "block 5: gas costs 60 gwei"));
  test_answer("eth_gasPrice", "\"0x1\"");
  EXPECT(test_block(6));
  EXPECT(test_logged_count() == 1 && test_stored_u64("highest") == 60000000000);
}

static void reports_once_after_a_block(void) {
  test_begin();
  test_config("warn_above_gwei", "100");
  test_answer("eth_gasPrice", "\"0xdf8475800\"");
  const nexum_log_entry transfer = test_log(TOKEN, "", "0x", 7);
  EXPECT(test_logs(&transfer, 1));
  EXPECT(is_logged(0, "block 7: a transfer of " TOKEN));
  EXPECT(test_block(1) && test_tick(0) && test_tick(1000));
  EXPECT(test_logged_count() == 2);
  EXPECT(is_logged(1, "0 {\"blocks\":1,\"highest\":60,\"transfers\":1}"));
  const char *answer = test_query("");
  EXPECT(answer && !strcmp(answer, "{\"blocks\":1,\"highest\":60,\"transfers\":1}"));
}

static void refuses_a_limit_that_is_no_number(void) {
  test_begin();
  test_config("warn_above_gwei", "high");
  EXPECT(!test_tick(0));
  EXPECT(is_logged(0, "on_init failed: module: [config] warn_above_gwei is no whole number: high"));
}

int main(void) {
  keeps_the_highest_price_and_warns_above_the_limit();
  reports_once_after_a_block();
  refuses_a_limit_that_is_no_number();
  return 0;
}
