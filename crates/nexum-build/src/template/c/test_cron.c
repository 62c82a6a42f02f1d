#include <string.h>

#include "testing.h"

int main(void) {
  test_config("account", "0x1");
  test_answer("eth_getBalance", "\"0x5\"");
  EXPECT(test_tick(0) && test_tick(10000));
  test_answer("eth_getBalance", "\"0x6\"");
  EXPECT(test_tick(20000));
  EXPECT(test_logged_count() == 2);
  EXPECT(!strcmp(test_logged(0), "0x1 has \"0x5\" wei"));
  EXPECT(!strcmp(test_logged(1), "0x1 has \"0x6\" wei"));
  return 0;
}
