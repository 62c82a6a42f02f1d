#include <string.h>

#include "nexum.h"

// The functions of this file advance a position in JSON. They stop at the end of a text that is no
// JSON.

static const char *skip_space(const char *at) { return at + strspn(at, " \t\r\n"); }

// The position after a string, whose first quote is at the position.
static const char *skip_string(const char *at) {
  for (at++; *at && *at != '"'; at++)
    if (*at == '\\' && at[1]) at++;
  return *at ? at + 1 : at;
}

static const char *skip_value(const char *at) {
  if (*at == '"') return skip_string(at);
  for (size_t depth = 0; *at;) {
    if (*at == '"') {
      at = skip_string(at);
      continue;
    }
    bool closes = *at == '}' || *at == ']';
    // A number or a word ends at the end of the object around it.
    if (!depth && (closes || *at == ',')) return at;
    depth += *at == '{' || *at == '[';
    depth -= closes;
    at++;
    if (closes && !depth) return at;
  }
  return at;
}

// The value of a key in the object at the position, or NULL.
static const char *member(const char *at, const char *key, size_t size) {
  at = skip_space(at);
  if (*at != '{') return NULL;
  for (at = skip_space(at + 1); *at == '"'; at = skip_space(at + 1)) {
    const char *start = at + 1;
    at = skip_string(at);
    bool found = (size_t)(at - start) == size + 1 && !memcmp(start, key, size);
    at = skip_space(at);
    if (*at != ':') return NULL;
    at = skip_space(at + 1);
    if (found) return at;
    at = skip_space(skip_value(at));
    if (*at != ',') return NULL;
  }
  return NULL;
}

const char *nexum_json(const char *json, const char *path) {
  while (*path) {
    size_t size = strcspn(path, ".");
    json = member(json, path, size);
    if (!json) return NULL;
    path += size + (path[size] == '.');
  }
  json = skip_space(json);
  size_t size = (size_t)(skip_value(json) - json);
  if (*json == '"') return size < 2 ? NULL : nexum_text("%.*s", (int)size - 2, json + 1);
  while (size && strchr(" \t\r\n", json[size - 1])) size--;
  return nexum_text("%.*s", (int)size, json);
}
