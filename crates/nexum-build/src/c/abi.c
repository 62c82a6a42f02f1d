#include "abi.h"

#include <string.h>

enum { WORD = 32 };

bool nexum_abi_begin(nexum_abi *abi, const nexum_log_entry *log, const uint8_t topic[32], size_t topics) {
  *abi = (nexum_abi){log, 1, 0};
  return log->topics.len == topics && topics && log->topics.ptr[0].len == WORD &&
         !memcmp(log->topics.ptr[0].ptr, topic, WORD);
}

// A part of the data, or NULL if the data ends before.
static const uint8_t *part(const nexum_abi *abi, size_t start, size_t size) {
  size_t length = abi->log->data.len;
  return start <= length && size <= length - start ? abi->log->data.ptr + start : NULL;
}

static const uint8_t *word(nexum_abi *abi, bool indexed) {
  if (indexed) {
    if (abi->topic >= abi->log->topics.len) return NULL;
    contract_list_u8_t topic = abi->log->topics.ptr[abi->topic++];
    return topic.len == WORD ? topic.ptr : NULL;
  }
  const uint8_t *found = part(abi, abi->position, WORD);
  if (found) abi->position += WORD;
  return found;
}

static uint64_t last_u64(const uint8_t *word) {
  uint64_t value = 0;
  for (size_t i = WORD - sizeof value; i < WORD; i++) value = value << 8 | word[i];
  return value;
}

bool nexum_abi_u64(nexum_abi *abi, bool indexed, unsigned bits, uint64_t *value) {
  const uint8_t *found = word(abi, indexed);
  if (!found) return false;
  *value = last_u64(found) & UINT64_MAX >> (64 - bits);
  return true;
}

bool nexum_abi_i64(nexum_abi *abi, bool indexed, unsigned bits, int64_t *value) {
  uint64_t unsigned_value;
  if (!nexum_abi_u64(abi, indexed, bits, &unsigned_value)) return false;
  uint64_t sign = (uint64_t)1 << (bits - 1);
  *value = (int64_t)((unsigned_value ^ sign) - sign);
  return true;
}

bool nexum_abi_bool(nexum_abi *abi, bool indexed, bool *value) {
  static const uint8_t zero[WORD];
  const uint8_t *found = word(abi, indexed);
  if (!found) return false;
  *value = memcmp(found, zero, WORD) != 0;
  return true;
}

bool nexum_abi_first(nexum_abi *abi, bool indexed, void *value, size_t size) {
  const uint8_t *found = word(abi, indexed);
  if (!found || size > WORD) return false;
  memcpy(value, found, size);
  return true;
}

bool nexum_abi_last(nexum_abi *abi, bool indexed, void *value, size_t size) {
  const uint8_t *found = word(abi, indexed);
  if (!found || size > WORD) return false;
  memcpy(value, found + WORD - size, size);
  return true;
}

// Reads a number of bytes, which is at most the length of the data.
static bool read_size(const nexum_abi *abi, const uint8_t *word, size_t *size) {
  static const uint8_t zero[WORD - sizeof(uint64_t)];
  if (!word || memcmp(word, zero, sizeof zero)) return false;
  uint64_t found = last_u64(word);
  if (found > abi->log->data.len) return false;
  *size = (size_t)found;
  return true;
}

static bool take_part(const nexum_abi *abi, size_t start, size_t size, nexum_bytes *value) {
  *value = (nexum_bytes){part(abi, start, size), size};
  return value->data != NULL;
}

bool nexum_abi_bytes(nexum_abi *abi, nexum_bytes *value) {
  size_t start, size;
  if (!read_size(abi, word(abi, NEXUM_DATA), &start)) return false;
  if (!read_size(abi, part(abi, start, WORD), &size)) return false;
  return take_part(abi, start + WORD, size, value);
}

bool nexum_abi_words(nexum_abi *abi, size_t count, nexum_bytes *value) {
  if (count > abi->log->data.len / WORD || !take_part(abi, abi->position, count * WORD, value)) return false;
  abi->position += count * WORD;
  return true;
}

bool nexum_abi_rest(nexum_abi *abi, nexum_bytes *value) {
  size_t start;
  if (!read_size(abi, word(abi, NEXUM_DATA), &start)) return false;
  return take_part(abi, start, abi->log->data.len - start, value);
}
