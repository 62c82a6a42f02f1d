// Reads the values of a log. `nexum new --abi` writes the functions that use this file into
// `src/events.c`.
#ifndef NEXUM_ABI_H
#define NEXUM_ABI_H

#include "nexum.h"

// The position in a log. Each function below reads the next value, and returns whether the log has it.
// Bits beyond the type of a value are ignored.
typedef struct {
  const nexum_log_entry *log;
  size_t topic;
  size_t position;
} nexum_abi;

// Starts at the first value. Returns whether the log has this first topic, and as many topics.
bool nexum_abi_begin(nexum_abi *abi, const nexum_log_entry *log, const uint8_t topic[32], size_t topics);

// Whether a value is a topic. Other values are words of the data.
#define NEXUM_DATA false
#define NEXUM_INDEXED true

bool nexum_abi_u64(nexum_abi *abi, bool indexed, unsigned bits, uint64_t *value);
bool nexum_abi_i64(nexum_abi *abi, bool indexed, unsigned bits, int64_t *value);
bool nexum_abi_bool(nexum_abi *abi, bool indexed, bool *value);
// The first bytes of a word.
bool nexum_abi_first(nexum_abi *abi, bool indexed, void *value, size_t size);
// The last bytes of a word.
bool nexum_abi_last(nexum_abi *abi, bool indexed, void *value, size_t size);

// The values of these functions are parts of the log's data.

// The content of a `bytes` or `string`.
bool nexum_abi_bytes(nexum_abi *abi, nexum_bytes *value);
// The encoding of a static type of this number of words.
bool nexum_abi_words(nexum_abi *abi, size_t count, nexum_bytes *value);
// The encoding of a dynamic type, up to the end of the data.
bool nexum_abi_rest(nexum_abi *abi, nexum_bytes *value);

#endif
