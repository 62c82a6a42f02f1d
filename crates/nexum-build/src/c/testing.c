#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The chain of events: that of a local node.
enum { CHAIN_ID = 31337 };

// The fake never frees what a test may still read: a test is a short process.
static void *copy(const void *data, size_t size) {
  char *new = calloc(1, size + 1);
  if (!new) abort();
  if (size) memcpy(new, data, size);
  return new;
}

static char *text_of(contract_string_t text) { return copy(text.ptr, text.len); }

static void give(contract_string_t *text, const char *value) {
  *text = (contract_string_t){copy(value, strlen(value)), strlen(value)};
}

void nexum_expect(bool holds, const char *file, int line, const char *condition) {
  if (holds) return;
  fprintf(stderr, "%s:%d: expected %s\n", file, line, condition);
  for (size_t i = 0; i < test_logged_count(); i++) fprintf(stderr, "  record %zu: %s\n", i, test_logged(i));
  exit(1);
}

static _Noreturn void stop(const char *subject, const char *name, const char *function) {
  fprintf(stderr, "the test has no answer for the %s %s; add %s(...)\n", subject, name, function);
  exit(1);
}

// A list of keys with values.
typedef struct {
  struct entry {
    const char *key;
    nexum_bytes value;
  } *entries;
  size_t count;
} map;

static struct entry *find(const map *map, const char *key) {
  for (size_t i = 0; i < map->count; i++)
    if (!strcmp(map->entries[i].key, key)) return &map->entries[i];
  return NULL;
}

static void put(map *map, const char *key, const void *data, size_t size) {
  struct entry *entry = find(map, key);
  if (!entry) {
    map->entries = realloc(map->entries, (map->count + 1) * sizeof *map->entries);
    if (!map->entries) abort();
    entry = &map->entries[map->count++];
    entry->key = copy(key, strlen(key));
  }
  entry->value = (nexum_bytes){data ? copy(data, size) : NULL, size};
}

static map settings, answers, cow_answers, stored;
static const char **records;
static size_t record_count;
static const char *cow_body;
static bool is_started;
static bool is_query;

void test_begin(void) {
  settings = answers = cow_answers = stored = (map){NULL, 0};
  record_count = 0;
  cow_body = NULL;
  is_started = false;
}

void test_config(const char *key, const char *value) { put(&settings, key, value, strlen(value)); }

static void put_text(map *map, const char *key, const char *value) {
  put(map, key, value, value ? strlen(value) : 0);
}

void test_answer(const char *method, const char *result) { put_text(&answers, method, result); }

void test_cow(const char *path, const char *answer) { put_text(&cow_answers, path, answer); }

size_t test_logged_count(void) { return record_count; }

const char *test_logged(size_t index) { return index < record_count ? records[index] : NULL; }

const char *test_cow_body(void) { return cow_body; }

uint64_t test_stored_u64(const char *key) {
  const struct entry *entry = find(&stored, key);
  uint64_t value = 0;
  if (entry && entry->value.size == sizeof value) memcpy(&value, entry->value.data, sizeof value);
  return value;
}

// Fails a call of the host. Always returns false.
static bool refuse(nexum_host_types_host_error_t *error, const char *domain, uint8_t kind, const char *message) {
  *error = (nexum_host_types_host_error_t){0};
  give(&error->domain, domain);
  error->kind.tag = kind;
  give(&error->message, message);
  return false;
}

static bool refuse_query(nexum_host_types_host_error_t *error, const char *domain) {
  char message[64];
  snprintf(message, sizeof message, "%s may not be called by a query", domain);
  return refuse(error, domain, NEXUM_HOST_TYPES_HOST_ERROR_KIND_DENIED, message);
}

static bool respond(const struct entry *entry, const char *domain, contract_string_t *ret,
                    nexum_host_types_host_error_t *error) {
  if (!entry->value.data)
    return refuse(error, domain, NEXUM_HOST_TYPES_HOST_ERROR_KIND_UNAVAILABLE, "the test has a failure here");
  give(ret, entry->value.data);
  return true;
}

// The functions of the host.

bool nexum_host_chain_request(uint64_t chain_id, contract_string_t *method, contract_string_t *params,
                              contract_string_t *ret, nexum_host_types_host_error_t *error) {
  (void)chain_id;
  (void)params;
  if (is_query) return refuse_query(error, "chain");
  const char *name = text_of(*method);
  const struct entry *entry = find(&answers, name);
  if (!entry) stop("method", name, "test_answer");
  return respond(entry, "chain", ret, error);
}

static bool order_book(const char *path, const char *body, contract_string_t *ret,
                       nexum_host_types_host_error_t *error) {
  if (is_query) return refuse_query(error, "cow-api");
  cow_body = body;
  const struct entry *entry = find(&cow_answers, path);
  if (!entry) stop("path", path, "test_cow");
  return respond(entry, "cow-api", ret, error);
}

bool shepherd_cow_cow_api_request(uint64_t chain_id, contract_string_t *method, contract_string_t *path,
                                  contract_string_t *body, contract_string_t *ret,
                                  nexum_host_types_host_error_t *error) {
  (void)chain_id;
  (void)method;
  return order_book(text_of(*path), body ? text_of(*body) : NULL, ret, error);
}

bool shepherd_cow_cow_api_submit_order(uint64_t chain_id, contract_list_u8_t *order, contract_string_t *ret,
                                       nexum_host_types_host_error_t *error) {
  (void)chain_id;
  return order_book("order", copy(order->ptr, order->len), ret, error);
}

bool nexum_host_local_store_get(contract_string_t *key, contract_option_list_u8_t *ret,
                                nexum_host_types_host_error_t *error) {
  (void)error;
  const struct entry *entry = find(&stored, text_of(*key));
  *ret = (contract_option_list_u8_t){0};
  if (entry) {
    ret->is_some = true;
    ret->val = (contract_list_u8_t){copy(entry->value.data, entry->value.size), entry->value.size};
  }
  return true;
}

static bool refuse_write(nexum_host_types_host_error_t *error) {
  return refuse(error, "local-store", NEXUM_HOST_TYPES_HOST_ERROR_KIND_DENIED, "a query may not write");
}

bool nexum_host_local_store_set(contract_string_t *key, contract_list_u8_t *value,
                                nexum_host_types_host_error_t *error) {
  if (is_query) return refuse_write(error);
  put(&stored, text_of(*key), value->len ? (const char *)value->ptr : "", value->len);
  return true;
}

bool nexum_host_local_store_delete(contract_string_t *key, nexum_host_types_host_error_t *error) {
  if (is_query) return refuse_write(error);
  struct entry *entry = find(&stored, text_of(*key));
  if (entry) *entry = stored.entries[--stored.count];
  return true;
}

static int compare_keys(const void *one, const void *other) {
  const contract_string_t *a = one, *b = other;
  size_t shorter = a->len < b->len ? a->len : b->len;
  int order = memcmp(a->ptr, b->ptr, shorter);
  return order ? order : (a->len > b->len) - (a->len < b->len);
}

bool nexum_host_local_store_list_keys(contract_string_t *prefix, contract_list_string_t *ret,
                                      nexum_host_types_host_error_t *error) {
  (void)error;
  *ret = (contract_list_string_t){calloc(stored.count + 1, sizeof *ret->ptr), 0};
  if (!ret->ptr) abort();
  for (size_t i = 0; i < stored.count; i++) {
    const char *key = stored.entries[i].key;
    if (strlen(key) >= prefix->len && !memcmp(key, prefix->ptr, prefix->len)) give(&ret->ptr[ret->len++], key);
  }
  qsort(ret->ptr, ret->len, sizeof *ret->ptr, compare_keys);
  return true;
}

void nexum_host_logging_log(nexum_host_logging_level_t level, contract_string_t *message) {
  (void)level;
  records = realloc(records, (record_count + 1) * sizeof *records);
  if (!records) abort();
  records[record_count++] = text_of(*message);
}

// The functions of the bindings that own memory.

void contract_string_dup(contract_string_t *ret, const char *text) { give(ret, text); }
void contract_string_free(contract_string_t *text) { free(text->ptr); }
void contract_list_u8_free(contract_list_u8_t *list) { (void)list; }

void contract_option_list_u8_free(contract_option_list_u8_t *list) {
  if (list->is_some) free(list->val.ptr);
}

void contract_list_string_free(contract_list_string_t *list) {
  for (size_t i = 0; i < list->len; i++) free(list->ptr[i].ptr);
  free(list->ptr);
}

void nexum_host_types_host_error_free(nexum_host_types_host_error_t *error) {
  free(error->domain.ptr);
  free(error->message.ptr);
  if (error->data.is_some) free(error->data.val.ptr);
}

// Events and queries.

static bool start(void) {
  contract_config_t config = {calloc(settings.count + 1, sizeof *config.ptr), settings.count};
  if (!config.ptr) abort();
  for (size_t i = 0; i < settings.count; i++) {
    give(&config.ptr[i].f0, settings.entries[i].key);
    give(&config.ptr[i].f1, settings.entries[i].value.data);
  }
  contract_host_error_t error;
  return exports_contract_init(&config, &error);
}

#ifdef NEXUM_EVENTS
// The event stays that of the test.
void contract_event_free(contract_event_t *event) { (void)event; }

static bool deliver(contract_event_t event) {
  map before = {copy(stored.entries, stored.count * sizeof *stored.entries), stored.count};
  contract_host_error_t error;
  is_started = (is_started || start()) && exports_contract_on_event(&event, &error);
  if (!is_started) stored = before;
  return is_started;
}

bool test_block(uint64_t number) {
  static uint8_t hash[32];
  contract_event_t event = {.tag = NEXUM_HOST_TYPES_EVENT_BLOCK};
  event.val.block = (nexum_block){CHAIN_ID, number, {hash, sizeof hash}, 0};
  return deliver(event);
}

bool test_logs(const nexum_log_entry *logs, size_t count) {
  contract_event_t event = {.tag = NEXUM_HOST_TYPES_EVENT_LOGS};
  event.val.logs = (nexum_host_types_list_log_t){(nexum_log_entry *)logs, count};
  return deliver(event);
}

bool test_tick(uint64_t fired_at) {
  contract_event_t event = {.tag = NEXUM_HOST_TYPES_EVENT_TICK};
  event.val.tick.fired_at = fired_at;
  return deliver(event);
}

#endif

#ifdef NEXUM_QUERIES
const char *test_query(const char *input) {
  contract_list_u8_t content = {(uint8_t *)input, strlen(input)}, answer;
  contract_host_error_t error;
  is_query = true;
  bool answered = start() && exports_contract_evaluate(&content, &answer, &error);
  is_query = false;
  return answered ? copy(answer.ptr, answer.len) : NULL;
}
#endif

// The bytes of hex digits, with or without 0x, up to the end or a space.
static contract_list_u8_t from_hex(const char *text) {
  if (!strncmp(text, "0x", 2)) text += 2;
  size_t size = strcspn(text, " ") / 2;
  contract_list_u8_t bytes = {copy("", 0), size};
  bytes.ptr = realloc(bytes.ptr, size + 1);
  if (!bytes.ptr) abort();
  for (size_t i = 0; i < size; i++) {
    char digits[3] = {text[2 * i], text[2 * i + 1], 0};
    bytes.ptr[i] = (uint8_t)strtoul(digits, NULL, 16);
  }
  return bytes;
}

nexum_log_entry test_log(const char *address, const char *topics, const char *data, uint64_t block_number) {
  static uint8_t hash[32];
  // A log has four topics at most.
  contract_list_list_u8_t list = {calloc(4, sizeof *list.ptr), 0};
  if (!list.ptr) abort();
  for (const char *at = topics; *at && list.len < 4; at += strspn(at, " ")) {
    list.ptr[list.len++] = from_hex(at);
    at += strcspn(at, " ");
  }
  return (nexum_log_entry){CHAIN_ID, from_hex(address), list, from_hex(data), block_number, {hash, sizeof hash}, 0};
}
