// Counts blocks, and answers queries with the count.

#include <inttypes.h>
#include <string.h>

#include "nexum.h"

int on_block(const nexum_block *block) {
  (void)block;
  uint64_t count;
  if (nexum_store_get_u64("blocks", &count)) return 1;
  return nexum_store_set_u64("blocks", count + 1);
}

// `nexum query {{name}} --input ""` calls it.
int on_query(nexum_bytes input, nexum_bytes *answer) {
  (void)input;
  uint64_t count;
  if (nexum_store_get_u64("blocks", &count)) return 1;
  const char *text = nexum_text("{\"blocks\":%" PRIu64 "}", count);
  *answer = (nexum_bytes){text, strlen(text)};
  return 0;
}
