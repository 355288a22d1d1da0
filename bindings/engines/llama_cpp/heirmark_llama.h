/* heirmark in llama.cpp: a sampler that is added last to a chain, in place of llama_sampler_init_dist.
 *
 *   heirmark_llama_options o;   heirmark_llama_options_init(&o);
 *   o.vocab_size = llama_vocab_n_tokens(vocab);   o.stop_token = llama_vocab_eos(vocab);
 *   struct llama_sampler* mark; heirmark_llama_init(sampler, &o, &mark);        sampler: heirmark.h, one for each loaded model
 *   llama_sampler_chain_add(chain, mark);                                       the chain owns it
 *   token = llama_sampler_sample(chain, ctx, -1);                               as before
 *
 * What a response is. llama.cpp tells a sampler each token through `accept` and does not say which are the prompt's. Here a response's prompt is
 * every token accepted before its first `apply`, and what comes after is generated. So accept the prompt's tokens (llama-server and common_sampler do), then
 * sample. A response begins with heirmark_llama_init, llama_sampler_reset (the prompt is empty again) or heirmark_llama_begin (what was accepted is the prompt).
 *
 * The marks do not depend on the order of the candidates or on who truncated them: a token that the chain has removed has probability 0. `apply`
 * draws and moves nothing; `accept` of the drawn token moves the response on. So a draw may be repeated, replaced, or thrown away with a clone.
 *
 * This file is compiled with the llama.h of the engine, whose structures change between builds. README.md says what works and what is refused. Errors are
 * those of specs/c_api; heirmark_llama_last_error has the line for a person. Threads: a sampler is one thread's at a time, as all of llama.cpp's. */
#ifndef HEIRMARK_LLAMA_H
#define HEIRMARK_LLAMA_H

#include <stddef.h>
#include <stdint.h>

#include <heirmark.h>
#include <llama.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What happens to a token that ought to carry the mark and cannot. */
typedef enum heirmark_llama_policy {
  HEIRMARK_LLAMA_COUNT = 0, /* it is drawn with a key that nobody keeps, and counted */
  HEIRMARK_LLAMA_STOP = 1   /* stop_token is selected in its place, now and until the next response: nothing leaves unmarked */
} heirmark_llama_policy;

/* Why. */
typedef enum heirmark_llama_failure {
  HEIRMARK_LLAMA_NO_FAILURE = 0,
  HEIRMARK_LLAMA_NO_CANDIDATE = 1,   /* no candidate, or none with a finite logit: stop_token is selected under either policy */
  HEIRMARK_LLAMA_BAD_CANDIDATES = 2, /* an id outside the vocabulary, or one twice */
  HEIRMARK_LLAMA_REDRAWN = 3,        /* the engine rejected the marked draw and asked again (a grammar that is tried after sampling) */
  HEIRMARK_LLAMA_FOREIGN = 4,        /* the engine accepted a token that this sampler did not choose (rejection sampling of drafts) */
  HEIRMARK_LLAMA_NO_REQUEST_ID = 5,  /* the system gave no random bytes */
  HEIRMARK_LLAMA_LIBRARY = 6         /* libheirmark failed: heirmark_llama_last_error */
} heirmark_llama_failure;

typedef struct heirmark_llama_options {
  uint32_t size;          /* of this structure, in bytes: what heirmark_llama_options_init wrote */
  uint32_t vocab_size;    /* llama_vocab_n_tokens, and that of the heirmark_sampler */
  llama_token stop_token; /* selected where there is no token to take: llama_vocab_eos */
  uint32_t account_slot;  /* heirmark_keys_find_account */
  uint32_t policy;        /* heirmark_llama_policy */
  uint32_t probabilities; /* 1: also write each candidate's p, as llama_sampler_init_dist does; params must then truncate nothing */
  uint32_t keep_steps;    /* 1: keep the prompt and each token's step for the ledger (heirmark_llama_ledger.h); nothing is kept under HEIRMARK_OFF */
  heirmark_params params; /* applied to what the chain left: temperature 1 and no truncation where the chain has done both */
} heirmark_llama_options;

/* How the response stands. Counts are of accepted tokens; a draw that was not accepted is in none. */
typedef struct heirmark_llama_report {
  uint8_t request_id[HEIRMARK_REQUEST_ID_BYTES];
  uint32_t position;     /* tokens generated */
  uint32_t marked;
  uint32_t issued;
  uint32_t unmarked;     /* drawn by this sampler without a mark: mode off or greedy, and failures under HEIRMARK_LLAMA_COUNT */
  uint32_t forced;       /* had an infinite logit */
  uint32_t foreign;      /* not chosen by this sampler */
  uint32_t failures;     /* tokens that ought to have carried the mark and do not; foreign ones are among them */
  uint32_t last_failure; /* heirmark_llama_failure */
  uint32_t stopped;      /* 1: stop_token is all that comes until the next response */
} heirmark_llama_report;

/* One generated token, as the issuance ledger needs it. */
typedef struct heirmark_llama_step {
  uint32_t token;
  uint32_t status;        /* heirmark_row_status; HEIRMARK_ROW_UNMARKED for a foreign token */
  uint32_t foreign;       /* 1: not chosen by this sampler */
  heirmark_top_tokens top; /* of the row it was drawn from; none where nothing was drawn: a foreign token, or stop_token in the place of one */
} heirmark_llama_step;

/* Defaults: HEIRMARK_LLAMA_COUNT, no probabilities, no steps, slot 0, heirmark_params_init; vocab_size and stop_token are the caller's to set. */
void heirmark_llama_options_init(heirmark_llama_options* options);

/* Makes the sampler, written on success alone; llama_sampler_free or its chain ends it. `sampler` is on the CPU, and borrowed for as long as this one and its
 * clones live. The response has a random request id. HEIRMARK_USAGE: a null pointer, an option or parameter out of range, a vocabulary that is not the sampler's;
 * HEIRMARK_KEY: no such account; HEIRMARK_IO: no random bytes; HEIRMARK_INTERNAL: out of memory. */
heirmark_status heirmark_llama_init(const heirmark_sampler* sampler, const heirmark_llama_options* options, struct llama_sampler** out);

/* A response begins: all tokens accepted since the last reset are its prompt, with those to come before the first `apply`. request_id is
 * HEIRMARK_REQUEST_ID_BYTES bytes that no other response under the key has; null draws one. It forks as well: a clone that goes on as another response begins one.
 * llama_sampler_reset keeps an id that no clone has and under which nothing was drawn, and draws a new one otherwise. HEIRMARK_USAGE: not a sampler of heirmark_llama_init; HEIRMARK_IO: no random
 * bytes; HEIRMARK_INTERNAL: out of memory. After an error the response is as it was. */
heirmark_status heirmark_llama_begin(struct llama_sampler* mark, const uint8_t* request_id);

/* HEIRMARK_USAGE: a null pointer, or not a sampler of heirmark_llama_init. */
heirmark_status heirmark_llama_get_report(const struct llama_sampler* mark, heirmark_llama_report* report);

/* The prompt of the response; null unless keep_steps. Valid as the steps are. */
const uint32_t* heirmark_llama_prompt(const struct llama_sampler* mark, size_t* count);

/* The steps of the response, one for each generated token; null unless keep_steps. Valid until the sampler is next called. A clone has those of its original, and
 * llama_sampler_copy brings back those of its source, so drafts that were undone are not among them. */
const heirmark_llama_step* heirmark_llama_steps(const struct llama_sampler* mark, size_t* count);

/* Claims the response for its one record, in the sampler and in all clones that have it (1), or gives it back (0). Returns what it was. Any thread. */
uint32_t heirmark_llama_claim(struct llama_sampler* mark, uint32_t claimed);

/* The heirmark sampler of a chain; null if there is none. */
struct llama_sampler* heirmark_llama_find(struct llama_sampler* chain);

/* "redrawn"; "unknown" for another number. */
const char* heirmark_llama_failure_name(uint32_t failure);

/* One line about this thread's last call that failed; never null, never a secret. */
const char* heirmark_llama_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
