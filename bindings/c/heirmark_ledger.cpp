// The C ABI of the issuance ledger, over the C++ one. Nothing is decided here.
#include "heirmark_ledger.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include <heirmark/ledger.hpp>

#include "guard.hpp"

using heirmark::c::done;
using heirmark::c::failed;
using heirmark::c::guarded;
using heirmark::c::usage;

struct heirmark_ledger {
  heirmark::Ledger ledger;
};
struct heirmark_issued {
  heirmark::Issued issued;
};

uint32_t heirmark_ledger_abi_version(void) { return HEIRMARK_LEDGER_ABI_MAJOR << 16 | HEIRMARK_LEDGER_ABI_MINOR; }
const char* heirmark_ledger_last_error(void) { return heirmark::c::last_error.c_str(); }

void heirmark_ledger_options_init(heirmark_ledger_options* options) {
  if (options == nullptr) return;
  const heirmark::Ledger::Options defaults;
  *options = {};
  options->size = sizeof *options;
  options->linger_ms = static_cast<uint32_t>(defaults.linger.count());
  options->queue_bytes = defaults.queue_bytes;
  options->checkpoint_seconds = static_cast<uint32_t>(defaults.checkpoint_every.count());
}

heirmark_status heirmark_ledger_open(const char* folder, const heirmark_ledger_options* options, heirmark_ledger** ledger) {
  if (folder == nullptr || options == nullptr || ledger == nullptr) return usage("folder, options or ledger is null");
  if (options->size != sizeof *options || options->reserved != 0) return usage("options: not filled by heirmark_ledger_options_init of this version");
  if (options->model == nullptr) return usage("options: model is null");
  return guarded([&] {
    heirmark::Ledger::Options out;
    out.key_id = options->key_id == nullptr ? "" : options->key_id;
    out.model = options->model;
    out.config_digest = options->config_digest == nullptr ? "" : options->config_digest;
    out.queue_bytes = static_cast<std::size_t>(options->queue_bytes);
    out.linger = std::chrono::milliseconds(options->linger_ms);
    out.checkpoint_every = std::chrono::seconds(options->checkpoint_seconds);
    auto opened = heirmark::Ledger::open(folder, out);
    if (!opened) return failed(opened.error());
    *ledger = new heirmark_ledger{std::move(opened).value()};
    return HEIRMARK_OK;
  });
}

heirmark_status heirmark_ledger_close(heirmark_ledger* ledger, uint32_t at_most_ms) {
  if (ledger == nullptr) return HEIRMARK_OK;
  const heirmark_status status = guarded([&] { return done(ledger->ledger.close(std::chrono::milliseconds(at_most_ms))); });
  delete ledger;
  return status;
}

heirmark_status heirmark_ledger_append(heirmark_ledger* ledger, heirmark_issued* issued, uint64_t* ticket) {
  if (ledger == nullptr || issued == nullptr) return usage("ledger or issued is null");
  return guarded([&] {
    const auto taken = ledger->ledger.append(std::move(issued->issued));
    if (!taken) return failed(taken.error());
    if (ticket != nullptr) *ticket = *taken;
    return HEIRMARK_OK;
  });
}

heirmark_status heirmark_ledger_wait(const heirmark_ledger* ledger, uint64_t ticket, uint32_t at_most_ms) {
  if (ledger == nullptr) return usage("ledger is null");
  return guarded([&] { return done(ledger->ledger.wait(ticket, std::chrono::milliseconds(at_most_ms))); });
}

heirmark_status heirmark_ledger_get_state(const heirmark_ledger* ledger, heirmark_ledger_state* state) {
  if (ledger == nullptr || state == nullptr) return usage("ledger or state is null");
  return guarded([&] {
    const heirmark::LedgerStatus status = ledger->ledger.status();
    *state = {};
    state->appended = status.appended;
    state->durable = status.durable;
    state->refused = status.refused;
    state->queued_bytes = status.queued_bytes;
    state->records = status.records;
    std::memcpy(state->error, status.error.data(), std::min(status.error.size(), sizeof state->error - 1));
    return HEIRMARK_OK;
  });
}

const char* heirmark_ledger_id(const heirmark_ledger* ledger) { return ledger == nullptr ? nullptr : ledger->ledger.info().id.c_str(); }

heirmark_status heirmark_issued_begin(const uint8_t* request_id, const char* account, const uint32_t* prompt, size_t prompt_count, heirmark_issued** issued) {
  if (request_id == nullptr || account == nullptr || issued == nullptr || (prompt == nullptr && prompt_count > 0)) return usage("request_id, account, prompt or issued is null");
  return guarded([&] {
    heirmark::RequestId id;
    std::memcpy(id.bytes.data(), request_id, id.bytes.size());
    *issued = new heirmark_issued{heirmark::Issued(id, account, {prompt, prompt_count})};
    return HEIRMARK_OK;
  });
}

heirmark_status heirmark_issued_add(heirmark_issued* issued, uint32_t token, uint32_t row_status, const heirmark_top_tokens* top) {
  if (issued == nullptr) return usage("issued is null");
  return guarded([&] {
    heirmark::IssuedToken likeliest[HEIRMARK_TOP_TOKENS];
    std::size_t count = 0;
    // Places that are not used, and tokens too unlikely for the unit, end the list.
    while (top != nullptr && count < HEIRMARK_TOP_TOKENS && top->token[count].token != HEIRMARK_NO_TOKEN && top->token[count].p != 0) {
      likeliest[count] = {top->token[count].token, top->token[count].p};
      ++count;
    }
    return done(issued->issued.add(token, static_cast<heirmark::RowStatus>(std::min(row_status, 0xFFu)), {likeliest, count}));
  });
}

void heirmark_issued_truncate(heirmark_issued* issued, uint32_t tokens) {
  if (issued != nullptr) issued->issued.truncate(tokens);
}

void heirmark_issued_free(heirmark_issued* issued) { delete issued; }
