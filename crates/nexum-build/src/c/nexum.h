// The host's functions for modules in C. `nexum build` writes this file to `build/nexum`, beside
// the bindings of the contract (`contract.h`).
//
// A function that can fail returns 0, or 1 after a failure: `nexum_last_error` then has the error.
// A handler returns 0, or 1 to fail the event: `if (nexum_store_get(...)) return 1;`.
//
// A text or other memory that a function returns is valid until the handler returns. Free none.
#ifndef NEXUM_H
#define NEXUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract.h"

// The handlers of a module. Define those of your subscriptions; `on_init` may be absent.

// `on_init` runs once for each instance, before the first event.
int on_init(void);

// `hash` has 32 bytes. `timestamp` is in milliseconds since the Unix epoch.
typedef nexum_host_types_block_t nexum_block;
int on_block(const nexum_block *block);

// The logs of one block, in order. Topics and hashes have 32 bytes, addresses 20.
typedef nexum_host_types_log_t nexum_log_entry;
int on_logs(const nexum_log_entry *logs, size_t count);

// `fired_at` is in milliseconds since the Unix epoch.
int on_tick(uint64_t fired_at);

// Bytes, which may contain zeros.
typedef struct {
  const void *data;
  size_t size;
} nexum_bytes;

// Answers a query: sets `answer`.
int on_query(nexum_bytes input, nexum_bytes *answer);

// The value of a key of `[config]`, or NULL.
const char *nexum_config(const char *key);

// The value of a key as a whole number. Fails if it is absent or no number.
int nexum_config_u64(const char *key, uint64_t *value);

// Writes a log record. Takes a format as `printf` does.
void nexum_log(nexum_host_logging_level_t level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define nexum_trace(...) nexum_log(NEXUM_HOST_LOGGING_LEVEL_TRACE, __VA_ARGS__)
#define nexum_debug(...) nexum_log(NEXUM_HOST_LOGGING_LEVEL_DEBUG, __VA_ARGS__)
#define nexum_info(...) nexum_log(NEXUM_HOST_LOGGING_LEVEL_INFO, __VA_ARGS__)
#define nexum_warn(...) nexum_log(NEXUM_HOST_LOGGING_LEVEL_WARN, __VA_ARGS__)
#define nexum_error(...) nexum_log(NEXUM_HOST_LOGGING_LEVEL_ERROR, __VA_ARGS__)

// The last failure. `kind` is one of NEXUM_HOST_TYPES_HOST_ERROR_KIND_*. `code` is the server's
// number, or 0. `data` is the server's response body, or NULL.
typedef struct {
  const char *domain;
  uint8_t kind;
  int32_t code;
  const char *message;
  const char *data;
} nexum_failure;

const nexum_failure *nexum_last_error(void);

// Whether the call that failed can succeed later.
bool nexum_is_retryable(void);

// Sets the last error to one of the module, with file and line. Always returns 1.
#define nexum_fail(...) nexum_fail_at(__FILE__, __LINE__, __VA_ARGS__)
int nexum_fail_at(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Sends a JSON-RPC request, whose `params` are a JSON array. The result is JSON.
int nexum_request(uint64_t chain_id, const char *method, const char *params, const char **result);

// Sends a request whose result is a quantity such as "0x1f", of at most 64 bits.
int nexum_request_u64(uint64_t chain_id, const char *method, const char *params, uint64_t *result);

// Sends a request to the CoW Protocol order book. `body` is JSON, or NULL. The answer is JSON.
int nexum_cow_request(uint64_t chain_id, const char *method, const char *path, const char *body,
                      const char **answer);
// Asks the order book for a price. The order and the answer are JSON.
int nexum_cow_quote(uint64_t chain_id, const char *order, const char **answer);
// Submits an order, which is JSON.
int nexum_cow_submit_order(uint64_t chain_id, const char *order, const char **uid);

// The value of a key. `data` is NULL if there is no such key.
int nexum_store_get(const char *key, nexum_bytes *value);
int nexum_store_set(const char *key, const void *data, size_t size);
// Deletes a key. An absent key is no failure.
int nexum_store_delete(const char *key);
// The number at a key, or 0 if there is no such key.
int nexum_store_get_u64(const char *key, uint64_t *value);
int nexum_store_set_u64(const char *key, uint64_t value);
// The keys that start with a prefix, in order.
int nexum_store_keys(const char *prefix, const char ***keys, size_t *count);

// The value at a path such as "quote.buyAmount" in a JSON object, or NULL. A string comes without
// quotes and with its escapes as they are, another value as its JSON.
const char *nexum_json(const char *json, const char *path);

// A text made as `printf` does.
const char *nexum_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Bytes as hex with 0x.
const char *nexum_hex(const void *data, size_t size);

// Zeroed memory.
void *nexum_alloc(size_t size);

#endif
