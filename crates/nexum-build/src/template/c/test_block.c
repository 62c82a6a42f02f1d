#include <string.h>

#include "testing.h"

int main(void) {
  test_answer("eth_gasPrice", "\"0x7\"");
  EXPECT(test_block(5) && test_block(6));
  EXPECT(test_logged_count() == 2);
  EXPECT(!strcmp(test_logged(1), "block 6: gas costs 7 wei; 2 blocks so far"));

  // A failed event loses its writes.
  test_answer("eth_gasPrice", NULL);
  EXPECT(!test_block(7));
  EXPECT(test_stored_u64("blocks") == 2);
  return 0;
}
