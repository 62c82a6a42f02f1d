#include <string.h>

#include "events.h"
#include "testing.h"

#define CONTRACT "0x1111111111111111111111111111111111111111"

int main(void) {
  // An event whose values are zero or empty, and a log of another event.
  const nexum_log_entry logs[] = {
      test_log(CONTRACT, "{{topics}}", "{{data}}", 7),
      test_log(CONTRACT, "0x{{zero}}", "0x", 7),
  };
  EXPECT(test_logs(logs, 2));
  EXPECT(test_stored_u64("events") == 1);
  EXPECT(test_logged_count() == 1);
  EXPECT(!strcmp(test_logged(0), "block 7: {{event}} of " CONTRACT));
  return 0;
}
