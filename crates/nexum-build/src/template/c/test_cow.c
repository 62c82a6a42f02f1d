#include <string.h>

#include "testing.h"

int main(void) {
  test_config("sell_token", "0x1");
  test_config("buy_token", "0x2");
  test_config("sell_amount", "7");
  test_config("every", "10");
  test_cow("/api/v1/quote", "{\"quote\": {\"sellAmount\": \"7\", \"buyAmount\": \"9\"}, \"id\": 1}");
  EXPECT(test_block(19) && test_block(20) && test_block(21));
  EXPECT(!strcmp(nexum_json(test_cow_body(), "sellAmountBeforeFee"), "7"));

  // An order book that is down fails no event.
  test_cow("/api/v1/quote", NULL);
  EXPECT(test_block(30));
  EXPECT(test_logged_count() == 2);
  EXPECT(!strcmp(test_logged(0), "block 20: 7 buy 9"));
  EXPECT(!strcmp(test_logged(1), "block 30: no price: the test has a failure here"));
  return 0;
}
