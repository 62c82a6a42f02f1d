// Runs a module natively against a fake of the host: `nexum test` compiles the module, the files of
// `test/` and this fake with the `cc` of the machine. `nexum build` writes this file to `build/nexum`.
//
// The files of `test/` are one program, whose `main` returns 0. A failed handler loses its writes, as
// in nexum. The variables of the module outlive it here, and do not in nexum.
//
// The fake has the functions that `nexum.h` calls. A test of a module that calls other functions of
// `contract.h` defines them.
#ifndef NEXUM_TESTING_H
#define NEXUM_TESTING_H

#include "nexum.h"

// Ends the test with an error, which has file and line, unless the condition holds.
#define EXPECT(condition) nexum_expect(condition, __FILE__, __LINE__, #condition)
void nexum_expect(bool holds, const char *file, int line, const char *condition);

// Starts over with a host that has no settings, answers, values and records.
void test_begin(void);

// Sets a key of `[config]`. Call it before the first event.
void test_config(const char *key, const char *value);

// Answers a JSON-RPC method with a result, which is JSON, until the next call for the method. The
// method fails if the result is NULL. A method without an answer ends the test.
void test_answer(const char *method, const char *result);

// Answers requests of a path to the order book as `test_answer` does. The path of submitted orders is
// "order", and the answer is a UID.
void test_cow(const char *path, const char *answer);

// Deliver an event. Return whether the handler succeeded.
bool test_block(uint64_t number);
bool test_logs(const nexum_log_entry *logs, size_t count);
bool test_tick(uint64_t fired_at);

// A log of the chain 31337 with this block number. Topics and data are hex with 0x, the topics with
// spaces in between.
nexum_log_entry test_log(const char *address, const char *topics, const char *data, uint64_t block_number);

// The answer to a query as a text, or NULL if the handler failed.
const char *test_query(const char *input);

// The number of log records, and the message of a record, or NULL if there is none.
size_t test_logged_count(void);
const char *test_logged(size_t index);

// The body of the last request or order for the order book, or NULL.
const char *test_cow_body(void);

// The value of a key as a number, or 0 if there is none.
uint64_t test_stored_u64(const char *key);

#endif
