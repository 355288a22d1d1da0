/* heirmark: keyed sampling for language models, from C.
 *
 *   heirmark_keys* keys;          heirmark_keys_read("subkeys.json", &keys);
 *   heirmark_sampler_options o;   heirmark_sampler_options_init(&o); o.vocab_size = 128256; o.max_rows = 512;
 *   heirmark_sampler* sampler;    heirmark_sampler_create(keys, &o, &sampler);
 *   heirmark_sequence* seq;       heirmark_sequence_begin(sampler, request_id, prompt, prompt_count, account_slot, &seq);
 *   heirmark_sample_sequences(sampler, &logits, &seq, &params, &sampled);          a batch on the CPU, in one call
 *
 * or, where the logits are on a device: heirmark_sequence_row, heirmark_sample on a stream, heirmark_sequence_settle.
 *
 * specs/c_api is the contract: life cycle, ownership, thread safety and errors of every function. In short: what a function writes through a
 * pointer to pointer is the caller's and ends with its _free; pointers that are given are borrowed until the call returns (memory of a device:
 * until the stream is past it); no function throws, exits or keeps a null pointer from being an error. */
#ifndef HEIRMARK_H
#define HEIRMARK_H

#include <stddef.h>
#include <stdint.h>

#if defined(HEIRMARK_BUILD)
#define HEIRMARK_API __attribute__((visibility("default")))
#else
#define HEIRMARK_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Of this header. A library serves it if its major version is the same and its minor version no smaller. */
#define HEIRMARK_ABI_MAJOR 0
#define HEIRMARK_ABI_MINOR 1

#define HEIRMARK_NO_TOKEN UINT32_C(0xFFFFFFFF)
#define HEIRMARK_REQUEST_ID_BYTES 12
#define HEIRMARK_TOP_TOKENS 16
#define HEIRMARK_WORKSPACE_ALIGNMENT 256

/* What a call returns. The values above 1 are those of the command's exit codes (specs/cli.md). */
typedef enum heirmark_status {
  HEIRMARK_OK = 0,
  HEIRMARK_INTERNAL = 1,  /* the library ran out of memory or has a fault */
  HEIRMARK_USAGE = 2,     /* a call that makes no sense */
  HEIRMARK_BAD_INPUT = 3, /* data that is malformed or out of range */
  HEIRMARK_KEY = 4,       /* unknown key or account, missing permission */
  HEIRMARK_IO = 5         /* disk or device failure */
} heirmark_status;

typedef enum heirmark_dtype { HEIRMARK_FLOAT32 = 0, HEIRMARK_BFLOAT16 = 1, HEIRMARK_FLOAT16 = 2 } heirmark_dtype;

typedef enum heirmark_backend {
  HEIRMARK_BACKEND_AUTO = 0, /* cuda where build and machine have it, else cpu */
  HEIRMARK_BACKEND_CPU = 1,
  HEIRMARK_BACKEND_CUDA = 2
} heirmark_backend;

/* What a row asks for: marked lets the coin and the history choose between window and issuance. */
typedef enum heirmark_mode { HEIRMARK_OFF = 0, HEIRMARK_GREEDY = 1, HEIRMARK_MARKED = 2, HEIRMARK_ISSUANCE = 3 } heirmark_mode;

/* What happened to a row (specs/marks.md, "Status of a row"). */
typedef enum heirmark_row_status {
  HEIRMARK_ROW_MARKED = 0,
  HEIRMARK_ROW_ISSUED = 1,
  HEIRMARK_ROW_UNMARKED = 2,
  HEIRMARK_ROW_NO_FINITE_LOGIT = 3,
  HEIRMARK_ROW_INFINITE_LOGIT = 4,
  HEIRMARK_ROW_BAD_PARAMETER = 5,
  HEIRMARK_ROW_NEEDS_ALL_LOGITS = 6
} heirmark_row_status;

/* The subkeys that an inference server is given: one key, one profile, the accounts. Never changes; any number of threads. Holds secrets. */
typedef struct heirmark_keys heirmark_keys;
/* One loaded model and key on one device. Never changes; any number of threads sample at once. Holds secrets. */
typedef struct heirmark_sampler heirmark_sampler;
/* One response being generated: last tokens, history of windows, position. One thread at a time. */
typedef struct heirmark_sequence heirmark_sequence;

typedef struct heirmark_sampler_options {
  uint32_t size;       /* of this structure, in bytes: what heirmark_sampler_options_init wrote */
  uint32_t vocab_size; /* real vocabulary, 1 .. 2^20: ids 0 .. vocab_size - 1 take part */
  uint32_t max_rows;   /* largest batch, 1 .. 2^16 */
  uint32_t truncation; /* 1: rows may ask for min-p, top-k or top-p; 0: such a row is a bad parameter, and kernels need less */
  uint32_t log_probs;  /* 1: the log-probability of each token too */
  uint32_t backend;    /* heirmark_backend */
  int32_t device;      /* CUDA's number of the device */
  uint32_t threads;    /* of one call on the CPU; tokens do not depend on it */
} heirmark_sampler_options;

/* A batch of logits, row-major, in memory of the backend. */
typedef struct heirmark_logits {
  const void* data;
  uint32_t dtype;      /* heirmark_dtype */
  uint32_t rows;
  uint64_t row_stride; /* elements from one row to the next, at least vocab_size */
} heirmark_logits;

typedef struct heirmark_params {
  float temperature; /* 0 (greedy), or 1e-3 .. 1e3 */
  float min_p;       /* 0 (off) .. 1 */
  float top_p;       /* (0, 1]; 1: off */
  uint32_t top_k;    /* 0: off */
  uint32_t mode;     /* heirmark_mode */
} heirmark_params;

/* What one row asks for, in memory of the backend. heirmark_sequence_row fills it; a kernel of the engine's may change it. */
typedef struct heirmark_row {
  float temperature;
  float min_p;
  float top_p;
  uint32_t top_k;
  uint32_t mode;
  uint32_t account_slot;
  uint32_t position;
  uint32_t window_repeated;
  uint32_t window[4];
  uint8_t request_id[HEIRMARK_REQUEST_ID_BYTES];
  uint32_t reserved; /* 0 */
} heirmark_row;

typedef struct heirmark_sampled {
  uint32_t token; /* HEIRMARK_NO_TOKEN if there is none */
  uint8_t status; /* heirmark_row_status */
  uint8_t reserved[3];
  float log_prob; /* natural logarithm; NaN unless asked for */
} heirmark_sampled;

typedef struct heirmark_top_token {
  uint32_t token;
  uint32_t p; /* floor(2^32 probability), after temperature and truncation */
} heirmark_top_token;

/* The likeliest tokens of a row, in the order of their logits (specs/marks.md, "Top tokens"), so descending by p; unused places hold HEIRMARK_NO_TOKEN. */
typedef struct heirmark_top_tokens {
  heirmark_top_token token[HEIRMARK_TOP_TOKENS];
} heirmark_top_tokens;

/* Memory that a launch on a device uses; one for each launch that may run at a time. On the CPU it may be all zero. */
typedef struct heirmark_workspace {
  void* data; /* aligned to HEIRMARK_WORKSPACE_ALIGNMENT */
  uint64_t bytes;
} heirmark_workspace;

/* Tensor parallelism: the columns of the vocabulary that this rank holds. The ranks' ranges follow each other from 0 to vocab_size. */
typedef struct heirmark_shard_plan {
  uint32_t begin;
  uint32_t size;
  uint32_t ranks;   /* 1 .. 1024 */
  uint32_t largest; /* the largest size of any rank */
} heirmark_shard_plan;

/* ---- The library ---- */

/* HEIRMARK_ABI_MAJOR << 16 | HEIRMARK_ABI_MINOR of the library. */
HEIRMARK_API uint32_t heirmark_abi_version(void);
/* "0.1.0". */
HEIRMARK_API const char* heirmark_version(void);
/* One line about the last call of this thread that failed, empty if none has; never a secret, never null. */
HEIRMARK_API const char* heirmark_last_error(void);
/* "marked", "needs-all-logits": the name that specs/marks.md gives; "unknown" for another number. */
HEIRMARK_API const char* heirmark_row_status_name(uint32_t status);

/* ---- Keys ---- */

HEIRMARK_API heirmark_status heirmark_keys_read(const char* path, heirmark_keys** keys);
HEIRMARK_API heirmark_status heirmark_keys_parse(const void* bytes, size_t size, heirmark_keys** keys);
HEIRMARK_API void heirmark_keys_free(heirmark_keys* keys);
/* "acme-70b/2026-11"; 16 hex digits; "standard-2026-11". Null for null. */
HEIRMARK_API const char* heirmark_keys_path(const heirmark_keys* keys);
HEIRMARK_API const char* heirmark_keys_id(const heirmark_keys* keys);
HEIRMARK_API const char* heirmark_keys_profile(const heirmark_keys* keys);
HEIRMARK_API uint32_t heirmark_keys_account_count(const heirmark_keys* keys);
/* The name of an account; null beyond the last. */
HEIRMARK_API const char* heirmark_keys_account(const heirmark_keys* keys, uint32_t account_slot);
HEIRMARK_API heirmark_status heirmark_keys_find_account(const heirmark_keys* keys, const char* name, uint32_t* account_slot);

/* ---- Samplers ---- */

HEIRMARK_API void heirmark_sampler_options_init(heirmark_sampler_options* options);
HEIRMARK_API heirmark_status heirmark_sampler_create(const heirmark_keys* keys, const heirmark_sampler_options* options, heirmark_sampler** sampler);
HEIRMARK_API void heirmark_sampler_free(heirmark_sampler* sampler);
/* HEIRMARK_BACKEND_CPU or HEIRMARK_BACKEND_CUDA; AUTO for null. */
HEIRMARK_API uint32_t heirmark_sampler_backend(const heirmark_sampler* sampler);
HEIRMARK_API uint32_t heirmark_sampler_max_rows(const heirmark_sampler* sampler);
HEIRMARK_API uint64_t heirmark_sampler_workspace_bytes(const heirmark_sampler* sampler, uint32_t rows);
HEIRMARK_API heirmark_status heirmark_sampler_prepare(const heirmark_sampler* sampler, heirmark_workspace workspace, void* stream);
HEIRMARK_API heirmark_status heirmark_sample(const heirmark_sampler* sampler, const heirmark_logits* logits, const heirmark_row* rows, heirmark_sampled* sampled,
                                             heirmark_top_tokens* top, heirmark_workspace workspace, void* stream);
HEIRMARK_API heirmark_status heirmark_sample_sequences(const heirmark_sampler* sampler, const heirmark_logits* logits, heirmark_sequence* const* sequences,
                                                       const heirmark_params* params, heirmark_sampled* sampled);

/* ---- Sequences ---- */

HEIRMARK_API void heirmark_params_init(heirmark_params* params);
HEIRMARK_API heirmark_status heirmark_sequence_begin(const heirmark_sampler* sampler, const uint8_t* request_id, const uint32_t* prompt, size_t prompt_count,
                                                     uint32_t account_slot, heirmark_sequence** sequence);
HEIRMARK_API heirmark_status heirmark_sequence_clone(const heirmark_sequence* sequence, heirmark_sequence** copy);
HEIRMARK_API void heirmark_sequence_free(heirmark_sequence* sequence);
HEIRMARK_API uint32_t heirmark_sequence_position(const heirmark_sequence* sequence);
HEIRMARK_API heirmark_status heirmark_sequence_accept(heirmark_sequence* sequence, uint32_t token);
HEIRMARK_API heirmark_status heirmark_sequence_row(const heirmark_sampler* sampler, const heirmark_sequence* sequence, const heirmark_params* params, heirmark_row* row);
HEIRMARK_API heirmark_status heirmark_sequence_settle(const heirmark_sampler* sampler, heirmark_sequence* sequence, const heirmark_row* row, const heirmark_sampled* sampled);

/* ---- Speculative decoding ---- */

HEIRMARK_API heirmark_status heirmark_draft_rows(const heirmark_sampler* sampler, const heirmark_sequence* sequence, const heirmark_params* params, const uint32_t* draft,
                                                 size_t draft_count, heirmark_row* rows);
HEIRMARK_API heirmark_status heirmark_draft_settle(const heirmark_sampler* sampler, heirmark_sequence* sequence, const heirmark_row* rows, const uint32_t* draft,
                                                   size_t draft_count, const heirmark_sampled* sampled, size_t* taken);
HEIRMARK_API heirmark_status heirmark_draft_count_taken(const heirmark_sampler* sampler, const uint32_t* first, const uint32_t* draft, const heirmark_sampled* sampled,
                                                        uint32_t* taken, uint32_t count, void* stream);

/* ---- Sharded logits: three steps, and after the first two the engine gathers what each rank wrote from all ranks ---- */

HEIRMARK_API uint64_t heirmark_shard_sums_bytes(uint32_t rows);
HEIRMARK_API uint64_t heirmark_shard_picks_bytes(uint32_t rows, heirmark_shard_plan plan);
HEIRMARK_API heirmark_status heirmark_shard_sum(const heirmark_sampler* sampler, const heirmark_logits* logits, heirmark_shard_plan plan, const heirmark_row* rows, void* sums,
                                                void* stream);
HEIRMARK_API heirmark_status heirmark_shard_pick(const heirmark_sampler* sampler, const heirmark_logits* logits, heirmark_shard_plan plan, const heirmark_row* rows,
                                                 const void* all_sums, void* picks, void* stream);
HEIRMARK_API heirmark_status heirmark_shard_draw(const heirmark_sampler* sampler, uint32_t count, heirmark_shard_plan plan, const heirmark_row* rows, const void* all_sums,
                                                 const void* all_picks, heirmark_sampled* sampled, void* stream);

#ifdef __cplusplus
}
#endif
#endif
