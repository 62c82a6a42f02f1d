#include "nexum.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A module defines some of the handlers.
__attribute__((weak)) int on_init(void);
__attribute__((weak)) int on_block(const nexum_block *block);
__attribute__((weak)) int on_logs(const nexum_log_entry *logs, size_t count);
__attribute__((weak)) int on_tick(uint64_t fired_at);
__attribute__((weak)) int on_query(nexum_bytes input, nexum_bytes *answer);

// Memory that is freed when the handler returns.
typedef union chunk {
  union chunk *next;
  max_align_t alignment;
} chunk;

static chunk *chunks;

void *nexum_alloc(size_t size) {
  if (size > SIZE_MAX - sizeof(chunk)) abort();
  chunk *new = calloc(1, sizeof(chunk) + size);
  if (!new) abort();
  new->next = chunks;
  chunks = new;
  return new + 1;
}

static void release(void) {
  while (chunks) {
    chunk *next = chunks->next;
    free(chunks);
    chunks = next;
  }
}

static char *copy(const void *data, size_t size) {
  char *text = nexum_alloc(size + 1);
  if (size) memcpy(text, data, size);
  return text;
}

static const char *format_text(const char *format, va_list values) {
  va_list again;
  va_copy(again, values);
  int size = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (size < 0) return "";
  char *text = nexum_alloc((size_t)size + 1);
  vsnprintf(text, (size_t)size + 1, format, values);
  return text;
}

const char *nexum_text(const char *format, ...) {
  va_list values;
  va_start(values, format);
  const char *text = format_text(format, values);
  va_end(values);
  return text;
}

const char *nexum_hex(const void *data, size_t size) {
  static const char digits[] = "0123456789abcdef";
  char *text = nexum_alloc(2 * size + 3);
  memcpy(text, "0x", 2);
  for (size_t i = 0; i < size; i++) {
    uint8_t byte = ((const uint8_t *)data)[i];
    text[2 * i + 2] = digits[byte >> 4];
    text[2 * i + 3] = digits[byte & 15];
  }
  return text;
}

// A text as the argument of a host call, which only reads it.
static contract_string_t borrow(const char *text) {
  return (contract_string_t){(uint8_t *)text, strlen(text)};
}

// A text of the host, which the caller of the function owns from here on.
static const char *take(contract_string_t *text) {
  const char *taken = copy(text->ptr, text->len);
  contract_string_free(text);
  return taken;
}

void nexum_log(nexum_host_logging_level_t level, const char *format, ...) {
  va_list values;
  va_start(values, format);
  contract_string_t message = borrow(format_text(format, values));
  va_end(values);
  nexum_host_logging_log(level, &message);
}

static nexum_failure failure;

const nexum_failure *nexum_last_error(void) { return &failure; }

bool nexum_is_retryable(void) {
  return failure.kind == NEXUM_HOST_TYPES_HOST_ERROR_KIND_UNAVAILABLE ||
         failure.kind == NEXUM_HOST_TYPES_HOST_ERROR_KIND_RATE_LIMITED ||
         failure.kind == NEXUM_HOST_TYPES_HOST_ERROR_KIND_TIMEOUT;
}

int nexum_fail_at(const char *file, int line, const char *format, ...) {
  va_list values;
  va_start(values, format);
  const char *message = format_text(format, values);
  va_end(values);
  if (file) message = nexum_text("%s:%d: %s", file, line, message);
  failure = (nexum_failure){"module", NEXUM_HOST_TYPES_HOST_ERROR_KIND_INTERNAL, 0, message, NULL};
  return 1;
}

// Fails for a reason in this file, whose position helps no author.
#define fail(...) nexum_fail_at(NULL, 0, __VA_ARGS__)

// Makes an error of the host the last one. Always returns 1.
static int fail_with(nexum_host_types_host_error_t *error) {
  failure.domain = copy(error->domain.ptr, error->domain.len);
  failure.kind = error->kind.tag;
  failure.code = error->code;
  failure.message = copy(error->message.ptr, error->message.len);
  failure.data = error->data.is_some ? copy(error->data.val.ptr, error->data.val.len) : NULL;
  nexum_host_types_host_error_free(error);
  return 1;
}

// The configuration, which lives as long as the instance.
static contract_config_t config;

const char *nexum_config(const char *key) {
  for (size_t i = 0; i < config.len; i++) {
    contract_tuple2_string_string_t *entry = &config.ptr[i];
    if (entry->f0.len == strlen(key) && !memcmp(entry->f0.ptr, key, entry->f0.len))
      return copy(entry->f1.ptr, entry->f1.len);
  }
  return NULL;
}

// Reads a whole number of the given base. Returns whether the text is one.
static bool parse_u64(const char *text, uint64_t base, uint64_t *value) {
  *value = 0;
  if (!*text) return false;
  for (; *text; text++) {
    uint64_t digit = *text >= '0' && *text <= '9'   ? (uint64_t)(*text - '0')
                     : *text >= 'a' && *text <= 'f' ? (uint64_t)(*text - 'a' + 10)
                     : *text >= 'A' && *text <= 'F' ? (uint64_t)(*text - 'A' + 10)
                                                    : 16;
    if (digit >= base || *value > (UINT64_MAX - digit) / base) return false;
    *value = *value * base + digit;
  }
  return true;
}

int nexum_config_u64(const char *key, uint64_t *value) {
  const char *text = nexum_config(key);
  if (!text) return fail("[config] has no %s", key);
  return parse_u64(text, 10, value) ? 0 : fail("[config] %s is no whole number: %s", key, text);
}

int nexum_request(uint64_t chain_id, const char *method, const char *params, const char **result) {
  contract_string_t name = borrow(method), list = borrow(params), text;
  nexum_host_types_host_error_t error;
  if (!nexum_host_chain_request(chain_id, &name, &list, &text, &error)) return fail_with(&error);
  *result = take(&text);
  return 0;
}

int nexum_request_u64(uint64_t chain_id, const char *method, const char *params, uint64_t *result) {
  const char *json;
  if (nexum_request(chain_id, method, params, &json)) return 1;
  size_t size = strlen(json);
  bool is_hex = size > 4 && !strncmp(json, "\"0x", 3) && json[size - 1] == '"';
  if (is_hex && parse_u64(copy(json + 3, size - 4), 16, result)) return 0;
  return fail("the result of %s is no quantity of 64 bits: %.80s", method, json);
}

int nexum_cow_request(uint64_t chain_id, const char *method, const char *path, const char *body,
                      const char **answer) {
  contract_string_t name = borrow(method), place = borrow(path), content = borrow(body ? body : ""), text;
  nexum_host_types_host_error_t error;
  if (!shepherd_cow_cow_api_request(chain_id, &name, &place, body ? &content : NULL, &text, &error))
    return fail_with(&error);
  *answer = take(&text);
  return 0;
}

int nexum_cow_quote(uint64_t chain_id, const char *order, const char **answer) {
  return nexum_cow_request(chain_id, "POST", "/api/v1/quote", order, answer);
}

int nexum_cow_submit_order(uint64_t chain_id, const char *order, const char **uid) {
  contract_list_u8_t content = {(uint8_t *)order, strlen(order)};
  contract_string_t text;
  nexum_host_types_host_error_t error;
  if (!shepherd_cow_cow_api_submit_order(chain_id, &content, &text, &error)) return fail_with(&error);
  *uid = take(&text);
  return 0;
}

int nexum_store_get(const char *key, nexum_bytes *value) {
  contract_string_t name = borrow(key);
  contract_option_list_u8_t found;
  nexum_host_types_host_error_t error;
  if (!nexum_host_local_store_get(&name, &found, &error)) return fail_with(&error);
  *value = (nexum_bytes){NULL, 0};
  if (found.is_some) *value = (nexum_bytes){copy(found.val.ptr, found.val.len), found.val.len};
  contract_option_list_u8_free(&found);
  return 0;
}

int nexum_store_set(const char *key, const void *data, size_t size) {
  contract_string_t name = borrow(key);
  contract_list_u8_t value = {(uint8_t *)data, size};
  nexum_host_types_host_error_t error;
  return nexum_host_local_store_set(&name, &value, &error) ? 0 : fail_with(&error);
}

int nexum_store_delete(const char *key) {
  contract_string_t name = borrow(key);
  nexum_host_types_host_error_t error;
  return nexum_host_local_store_delete(&name, &error) ? 0 : fail_with(&error);
}

int nexum_store_get_u64(const char *key, uint64_t *value) {
  nexum_bytes found;
  if (nexum_store_get(key, &found)) return 1;
  *value = 0;
  if (!found.data) return 0;
  if (found.size != sizeof *value) return fail("the value of %s has %zu bytes", key, found.size);
  memcpy(value, found.data, sizeof *value);
  return 0;
}

int nexum_store_set_u64(const char *key, uint64_t value) {
  return nexum_store_set(key, &value, sizeof value);
}

int nexum_store_keys(const char *prefix, const char ***keys, size_t *count) {
  contract_string_t start = borrow(prefix);
  contract_list_string_t found;
  nexum_host_types_host_error_t error;
  if (!nexum_host_local_store_list_keys(&start, &found, &error)) return fail_with(&error);
  *keys = nexum_alloc(found.len * sizeof **keys);
  *count = found.len;
  for (size_t i = 0; i < found.len; i++) (*keys)[i] = copy(found.ptr[i].ptr, found.ptr[i].len);
  contract_list_string_free(&found);
  return 0;
}

// Ends a call of the host: reports a failure in the log and to the host, and frees the memory.
static bool finish(const char *handler, int result, contract_host_error_t *error) {
  if (result) {
    nexum_error("%s failed: %s: %s", handler, failure.domain, failure.message);
    contract_string_dup(&error->domain, failure.domain);
    error->kind.tag = failure.kind;
    error->code = failure.code;
    contract_string_dup(&error->message, failure.message);
    error->data.is_some = failure.data != NULL;
    if (failure.data) contract_string_dup(&error->data.val, failure.data);
  }
  release();
  return !result;
}

// The last error of a handler that fails without one.
static void begin(void) {
  const char *message = "the handler returned 1";
  failure = (nexum_failure){"module", NEXUM_HOST_TYPES_HOST_ERROR_KIND_INTERNAL, 0, message, NULL};
}

bool exports_contract_init(contract_config_t *received, contract_host_error_t *error) {
  begin();
  config = *received;
  return finish("on_init", on_init ? on_init() : 0, error);
}

__attribute__((unused)) static int missing(const char *handler) {
  return fail("the module has a subscription for %s, and does not define it", handler);
}

#ifdef NEXUM_EVENTS
bool exports_contract_on_event(contract_event_t *event, contract_host_error_t *error) {
  begin();
  int result = 1;
  const char *handler = "on_message";
  switch (event->tag) {
  case NEXUM_HOST_TYPES_EVENT_BLOCK:
    handler = "on_block";
    result = on_block ? on_block(&event->val.block) : missing(handler);
    break;
  case NEXUM_HOST_TYPES_EVENT_LOGS:
    handler = "on_logs";
    result = on_logs ? on_logs(event->val.logs.ptr, event->val.logs.len) : missing(handler);
    break;
  case NEXUM_HOST_TYPES_EVENT_TICK:
    handler = "on_tick";
    result = on_tick ? on_tick(event->val.tick.fired_at) : missing(handler);
    break;
  default:
    result = missing(handler);
  }
  contract_event_free(event);
  return finish(handler, result, error);
}
#endif

#ifdef NEXUM_QUERIES
bool exports_contract_evaluate(contract_list_u8_t *input, contract_list_u8_t *answer, contract_host_error_t *error) {
  begin();
  nexum_bytes found = {NULL, 0};
  int result = on_query ? on_query((nexum_bytes){input->ptr, input->len}, &found) : missing("on_query");
  if (!result) {
    answer->len = found.size;
    answer->ptr = malloc(found.size ? found.size : 1);
    if (!answer->ptr) abort();
    if (found.size) memcpy(answer->ptr, found.data, found.size);
  }
  contract_list_u8_free(input);
  return finish("on_query", result, error);
}
#endif
