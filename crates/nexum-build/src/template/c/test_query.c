#include <string.h>

#include "testing.h"

int main(void) {
  EXPECT(test_block(5) && test_block(6));
  const char *answer = test_query("");
  EXPECT(answer && !strcmp(answer, "{\"blocks\":2}"));
  return 0;
}
