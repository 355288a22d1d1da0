/* heirmark: the issuance ledger, from C (specs/ledger.md).
 *
 *   heirmark_ledger_options o;  heirmark_ledger_options_init(&o);  o.key_id = heirmark_keys_id(keys);  o.model = "acme-70b";
 *   heirmark_ledger* ledger;    heirmark_ledger_open("ledger", &o, &ledger);                      once, at start-up
 *   heirmark_issued* issued;    heirmark_issued_begin(request_id, "default", prompt, prompt_count, &issued);
 *   heirmark_issued_add(issued, sampled.token, sampled.status, &top);                             for each token: in memory alone
 *   heirmark_ledger_append(ledger, issued, &ticket);  heirmark_issued_free(issued);               never waits for the disk
 *   heirmark_ledger_close(ledger, 60000);
 *
 * A library of its own, libheirmark_ledger, because it needs SQLite, libsodium and OpenSSL, which sampling does not. specs/c_api is the contract. */
#ifndef HEIRMARK_LEDGER_H
#define HEIRMARK_LEDGER_H

#include "heirmark.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of this header, as HEIRMARK_ABI_MAJOR and _MINOR. */
#define HEIRMARK_LEDGER_ABI_MAJOR 0
#define HEIRMARK_LEDGER_ABI_MINOR 1

#define HEIRMARK_LEDGER_ERROR_BYTES 256

/* A ledger that this process writes. Any number of threads. */
typedef struct heirmark_ledger heirmark_ledger;
/* One response while it is made. One thread at a time. Holds text of customers, and wipes it. */
typedef struct heirmark_issued heirmark_issued;

typedef struct heirmark_ledger_options {
  uint32_t size;               /* of this structure, in bytes: what heirmark_ledger_options_init wrote */
  uint32_t linger_ms;          /* how long the first response of a batch waits for others, 0 .. 10,000 */
  uint64_t queue_bytes;        /* of responses that are not yet on the disk; more are refused */
  uint32_t checkpoint_seconds; /* between signed checkpoints, aligned to the clock, 1 .. 86,400 */
  uint32_t reserved;           /* 0 */
  const char* key_id;          /* of the subkeys that mark; null: nothing is marked */
  const char* model;           /* printable ASCII, 1 to 256 bytes; not null */
  const char* config_digest;   /* SHA-256 of how the model is served, 64 hex digits, or null */
} heirmark_ledger_options;

typedef struct heirmark_ledger_state {
  uint64_t appended;     /* the last ticket */
  uint64_t durable;      /* tickets up to this one are on the disk */
  uint64_t refused;      /* responses for which the queue had no room */
  uint64_t queued_bytes;
  uint64_t records;      /* in the ledger, since it was made */
  char error[HEIRMARK_LEDGER_ERROR_BYTES]; /* why writing fails just now; empty when it does not */
} heirmark_ledger_state;

/* HEIRMARK_LEDGER_ABI_MAJOR << 16 | HEIRMARK_LEDGER_ABI_MINOR of the library. */
HEIRMARK_API uint32_t heirmark_ledger_abi_version(void);
/* One line about the last call of this library and thread that failed; never a secret, never null. */
HEIRMARK_API const char* heirmark_ledger_last_error(void);

HEIRMARK_API void heirmark_ledger_options_init(heirmark_ledger_options* options);
HEIRMARK_API heirmark_status heirmark_ledger_open(const char* folder, const heirmark_ledger_options* options, heirmark_ledger** ledger);
HEIRMARK_API heirmark_status heirmark_ledger_close(heirmark_ledger* ledger, uint32_t at_most_ms);
HEIRMARK_API heirmark_status heirmark_ledger_append(heirmark_ledger* ledger, heirmark_issued* issued, uint64_t* ticket);
HEIRMARK_API heirmark_status heirmark_ledger_wait(const heirmark_ledger* ledger, uint64_t ticket, uint32_t at_most_ms);
HEIRMARK_API heirmark_status heirmark_ledger_get_state(const heirmark_ledger* ledger, heirmark_ledger_state* state);
/* 16 hex digits; null for null. */
HEIRMARK_API const char* heirmark_ledger_id(const heirmark_ledger* ledger);

HEIRMARK_API heirmark_status heirmark_issued_begin(const uint8_t* request_id, const char* account, const uint32_t* prompt, size_t prompt_count, heirmark_issued** issued);
HEIRMARK_API heirmark_status heirmark_issued_add(heirmark_issued* issued, uint32_t token, uint32_t row_status, const heirmark_top_tokens* top);
HEIRMARK_API void heirmark_issued_truncate(heirmark_issued* issued, uint32_t tokens);
HEIRMARK_API void heirmark_issued_free(heirmark_issued* issued);

#ifdef __cplusplus
}
#endif
#endif
