#include <string.h>

#include "testing.h"

#define TOKEN "0x1111111111111111111111111111111111111111"
#define TOPIC "0x2222222222222222222222222222222222222222222222222222222222222222"

int main(void) {
  const nexum_log_entry logs[] = {
      test_log(TOKEN, TOPIC " " TOPIC " " TOPIC, "0x03e8", 7),
      test_log(TOKEN, TOPIC " " TOPIC " " TOPIC " " TOPIC, "0x", 7),
  };
  EXPECT(test_logs(logs, 2));
  EXPECT(test_stored_u64("transfers") == 1);
  EXPECT(test_logged_count() == 1);
  EXPECT(!strcmp(test_logged(0), "block 7: a transfer of 0x03e8 of the token " TOKEN));
  return 0;
}
