// Responses of heirmark_llama.cpp into the issuance ledger. C++17, as that.
#include "heirmark_llama_ledger.h"

#include <algorithm>
#include <memory>
#include <string>

namespace {
thread_local std::string record_error;

heirmark_status fail(heirmark_status status, const char* line) noexcept {
  try {
    record_error = line;
  } catch (...) {
    record_error.clear();
  }
  return status;
}

struct FreeIssued {
  void operator()(heirmark_issued* issued) const noexcept { heirmark_issued_free(issued); }
};
}  // namespace

heirmark_status heirmark_llama_record(struct llama_sampler* mark, heirmark_ledger* ledger, const char* account, size_t tokens, uint64_t* ticket) {
  if (ticket != nullptr) *ticket = 0;
  if (ledger == nullptr || account == nullptr) return fail(HEIRMARK_USAGE, "ledger or account is null");
  size_t prompt_count = 0, count = 0;
  const uint32_t* prompt = heirmark_llama_prompt(mark, &prompt_count);
  const heirmark_llama_step* steps = heirmark_llama_steps(mark, &count);
  heirmark_llama_report report;
  if (prompt == nullptr || heirmark_llama_get_report(mark, &report) != HEIRMARK_OK) return fail(HEIRMARK_USAGE, heirmark_llama_last_error());
  if (count == 0) return HEIRMARK_OK;
  if (count = std::min(count, tokens); count > 0) {
    heirmark_issued* begun = nullptr;
    heirmark_status status = heirmark_issued_begin(report.request_id, account, prompt, prompt_count, &begun);
    const std::unique_ptr<heirmark_issued, FreeIssued> issued(begun);
    for (size_t i = 0; i < count && status == HEIRMARK_OK; ++i) status = heirmark_issued_add(begun, steps[i].token, steps[i].status, &steps[i].top);
    if (status != HEIRMARK_OK) return fail(status, heirmark_ledger_last_error());
    // No request id may be in a ledger twice.
    if (heirmark_llama_claim(mark, 1) != 0) return fail(HEIRMARK_USAGE, "a clone of this response has been recorded: begin one in each clone");
    if (status = heirmark_ledger_append(ledger, begun, ticket); status != HEIRMARK_OK) {
      heirmark_llama_claim(mark, 0);
      return fail(status, heirmark_ledger_last_error());
    }
  }
  // It is recorded, whatever happens now. Without random bytes for another id, reset leaves none, and draws say so.
  if (heirmark_llama_begin(mark, nullptr) != HEIRMARK_OK) llama_sampler_reset(mark);
  return HEIRMARK_OK;
}

const char* heirmark_llama_record_error(void) { return record_error.c_str(); }
