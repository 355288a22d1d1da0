/* The issuance ledger for heirmark_llama.h: a response is recorded by one call when it has ended.
 *
 *   options.keep_steps = 1;                                                       before heirmark_llama_init
 *   heirmark_ledger_open("ledger", &ledger_options, &ledger);                     once, at start-up (heirmark_ledger.h)
 *   ... a response ...
 *   heirmark_llama_record(mark, ledger, "acme", SIZE_MAX, NULL);                  never waits for the disk
 *
 * A file of its own because it needs libheirmark_ledger: leave it out where nothing is recorded. */
#ifndef HEIRMARK_LLAMA_LEDGER_H
#define HEIRMARK_LLAMA_LEDGER_H

#include <heirmark_ledger.h>

#include "heirmark_llama.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The response ends here, and the ledger takes it into its queue: request id, account, prompt, and of each token status and likeliest tokens. What follows is
 * another response, as after heirmark_llama_begin(mark, NULL): it has a new request id, and all that was accepted as its prompt. So nothing is recorded twice, and
 * memory does not grow.
 *
 * account: the name of options.account_slot. tokens: of the response, at most so many: those that the engine accepted and never gave out (it stopped within a draft) are not
 * recorded; SIZE_MAX for all. ticket: for heirmark_ledger_wait, 0 where there was nothing to record; may be null.
 *
 * Nothing to record is HEIRMARK_OK: no token accepted, or HEIRMARK_OFF. Every other response is recorded, also a greedy one or one whose marks all failed: its tokens have the
 * status HEIRMARK_ROW_UNMARKED. A clone has the response of its original until it begins one: one of them is recorded.
 *
 * HEIRMARK_USAGE: a null pointer, not a sampler of heirmark_llama_init, or one without keep_steps; a clone has been recorded; a ledger that was closed. HEIRMARK_BAD_INPUT: no good account, more than
 * 2^20 tokens. HEIRMARK_IO: the ledger's queue is full, and the ledger has counted it. HEIRMARK_INTERNAL: out of memory. After an error the response is as it was:
 * record it later, or let it go with heirmark_llama_begin or llama_sampler_reset. */
heirmark_status heirmark_llama_record(struct llama_sampler* mark, heirmark_ledger* ledger, const char* account, size_t tokens, uint64_t* ticket);

/* One line about this thread's last heirmark_llama_record that failed; never null, never a secret. */
const char* heirmark_llama_record_error(void);

#ifdef __cplusplus
}
#endif
#endif
