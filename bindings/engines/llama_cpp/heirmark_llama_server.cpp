#include "heirmark_llama_server.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common.h"
#include "hash/hash.h"
#include "json.h"
#include "log.h"
#include "sampling.h"

namespace heirmark_llama {
namespace {

constexpr const char* kVariable = "HEIRMARK_CONFIG";
constexpr uint32_t kCloseMs = 10'000;
constexpr int64_t kReportMs = 60'000;

constexpr const char* kNameRule = "expected 1 to 64 of a-z 0-9 . _ -";
bool is_key_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == std::string_view::npos;
}

struct Config {
  std::string subkeys, account, ledger, model = "unnamed", epoch, digest;
  bool fail_closed = true;
};

std::string read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) throw std::runtime_error(path + ": " + std::strerror(errno));
  std::string out;
  char bytes[4096];
  for (std::size_t got; (got = std::fread(bytes, 1, sizeof bytes, file.get())) > 0;) out.append(bytes, got);
  if (std::ferror(file.get()) != 0) throw std::runtime_error(path + ": " + std::strerror(errno));
  return out;
}

bool is_month(std::string_view text) {
  return text.size() == 7 && text[4] == '-' && text.find_first_not_of("0123456789-") == std::string_view::npos && std::count(text.begin(), text.end(), '-') == 1 &&
         text.substr(5) >= "01" && text.substr(5) <= "12";
}

/// How many strings a JSON text has: two quotes each, and a quote inside of one stands behind a backslash.
std::size_t count_strings(std::string_view text) {
  std::size_t quotes = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') ++i;
    else if (text[i] == '"') ++quotes;
  }
  return quotes / 2;
}

Config read_config(const std::string& path) {
  const auto bad = [&](const std::string& what) { return std::runtime_error(path + ": " + what); };
  const std::string text = read_file(path);
  common_json members;
  try {
    members = common_json::parse(text);
  } catch (const common_json_error& error) {
    throw bad(error.what());
  }
  if (!members.is_object()) throw bad("expected an object");
  Config out;
  out.digest = hash_sha256_hex(text.data(), text.size());
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  for (const auto& [name, value] : members.items()) {
    static const std::set<std::string, std::less<>> kMembers = {"account", "epoch", "ledger", "model", "policy", "subkeys"};
    if (kMembers.count(name) == 0) throw bad("unknown member \"" + name + "\"");
    const std::string given = value.is_string() ? value.get<std::string>() : std::string();
    if (given.empty()) throw bad("member \"" + name + "\": expected a string that is not empty");
    if (std::any_of(given.begin(), given.end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; })) throw bad("member \"" + name + "\": holds a control character");
    if (name == "subkeys") out.subkeys = (folder / given).string();
    else if (name == "ledger") out.ledger = (folder / given).string();
    else if (name == "model") {
      if (given.size() > 256 || !std::all_of(given.begin(), given.end(), [](char c) { return c >= ' ' && c <= '~'; })) throw bad("member \"model\": 1 to 256 printable ASCII characters");
      out.model = given;
    } else if (name == "epoch") {
      if (!is_month(given)) throw bad("member \"epoch\": expected YYYY-MM");
      out.epoch = given;
    } else if (name == "account") {
      if (!is_key_name(given)) throw bad(std::string("member \"account\": ") + kNameRule);
      out.account = given;
    } else if (given == "serve-unmarked-and-count") out.fail_closed = false;
    else if (given != "fail-closed") throw bad("member \"policy\": expected \"fail-closed\" or \"serve-unmarked-and-count\"");
  }
  // The parser keeps one of two members of the same name.
  if (count_strings(text) != 2 * members.size()) throw bad("a member twice");
  if (out.subkeys.empty()) throw bad("member \"subkeys\": missing");
  return out;
}

std::string hex(const uint8_t* bytes, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out += string_format("%02x", bytes[i]);
  return out;
}

/// YYYY-MM, UTC.
std::string this_month() {
  const std::time_t now = std::time(nullptr);
  char text[8];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m", std::gmtime(&now)));
}

/// The names of samplers that choose the token themselves; empty if none does.
const char* unsupported(const common_params_sampling& sampling) {
  if (sampling.mirostat != 0) return "mirostat";
  if (std::find(sampling.samplers.begin(), sampling.samplers.end(), COMMON_SAMPLER_TYPE_ADAPTIVE_P) != sampling.samplers.end()) return "adaptive-p";
  return "";
}

std::string ledger_error(heirmark_ledger* ledger) {
  heirmark_ledger_state state;
  return heirmark_ledger_get_state(ledger, &state) == HEIRMARK_OK ? state.error : heirmark_ledger_last_error();
}

}  // namespace

std::unique_ptr<Server> Server::from_environment() {
  const char* path = std::getenv(kVariable);
  if (path == nullptr || *path == '\0') return nullptr;
  const Config config = read_config(path);
  std::unique_ptr<Server> out(new Server);
  out->fail_closed_ = config.fail_closed;
  heirmark_keys* keys = nullptr;
  if (heirmark_keys_read(config.subkeys.c_str(), &keys) != HEIRMARK_OK) throw std::runtime_error(heirmark_last_error());
  out->keys_.reset(keys);
  const std::string key_path = heirmark_keys_path(keys), epoch = key_path.substr(key_path.rfind('/') + 1), month = this_month();
  if (!config.epoch.empty() && epoch != config.epoch) throw std::runtime_error(config.subkeys + ": keys of " + epoch + ", and the configuration names " + config.epoch);
  if (config.epoch.empty() && epoch != month)
    throw std::runtime_error(config.subkeys + ": the epoch " + epoch + (epoch < month ? " is over" : " has not begun") + "; export the subkeys of " + month + ", or name " + epoch +
                             " in the configuration's member \"epoch\"");
  if (config.epoch.empty()) out->month_ = month;
  if (!config.account.empty() && heirmark_keys_find_account(keys, config.account.c_str(), &out->account_) != HEIRMARK_OK)
    throw std::runtime_error(config.subkeys + ": no account \"" + config.account + "\", which the configuration names");
  if (!config.ledger.empty()) {
    heirmark_ledger_options options;
    heirmark_ledger_options_init(&options);
    options.key_id = heirmark_keys_id(keys);
    options.model = config.model.c_str();
    options.config_digest = config.digest.c_str();
    if (heirmark_ledger_open(config.ledger.c_str(), &options, &out->ledger_) != HEIRMARK_OK) throw std::runtime_error(heirmark_ledger_last_error());
  }
  return out;
}

Server::~Server() { close(); }

void Server::load(const llama_vocab* vocab) {
  heirmark_sampler_options options;
  heirmark_sampler_options_init(&options);
  options.vocab_size = static_cast<uint32_t>(llama_vocab_n_tokens(vocab));
  options.max_rows = 1;
  options.truncation = 0;  // llama.cpp has truncated
  options.backend = HEIRMARK_BACKEND_CPU;
  stop_token_ = llama_vocab_eos(vocab);
  for (llama_token token = 0; stop_token_ == LLAMA_TOKEN_NULL && token < llama_vocab_n_tokens(vocab); ++token)
    if (llama_vocab_is_eog(vocab, token)) stop_token_ = token;
  if (stop_token_ == LLAMA_TOKEN_NULL) {
    if (fail_closed_) throw std::runtime_error("the model has no token that ends a response, and a response that could not be marked could not be ended (policy fail-closed)");
    stop_token_ = 0;  // under the other policy it is selected only where nothing else can be
  }
  if (sampler_) {  // the same model after a sleep
    if (options.vocab_size != vocab_size_) throw std::runtime_error("the model has another vocabulary than before");
    return;
  }
  vocab_size_ = options.vocab_size;
  heirmark_sampler* sampler = nullptr;
  if (heirmark_sampler_create(keys_.get(), &options, &sampler) != HEIRMARK_OK) throw std::runtime_error(heirmark_last_error());
  sampler_.reset(sampler);
  LOG_INF("heirmark: marking with key %s, profile %s, policy %s, %u tokens, %s%s\n", heirmark_keys_id(keys_.get()), heirmark_keys_profile(keys_.get()),
          fail_closed_ ? "fail-closed" : "serve-unmarked-and-count", vocab_size_, ledger_ != nullptr ? "ledger " : "no ledger", ledger_ != nullptr ? heirmark_ledger_id(ledger_) : "");
}

Wish Server::accept(const common_json& body, const common_params_sampling& sampling) {
  Wish out;
  std::string account;
  bool marked = true;
  for (const auto& [name, value] : body.items()) {
    if (name.rfind("heirmark", 0) != 0) continue;
    if (name == "heirmark_account") {
      if (value.is_null()) continue;
      if (value.is_string()) account = value.get<std::string>();
      if (!is_key_name(account)) throw std::invalid_argument(std::string("\"heirmark_account\": ") + kNameRule);
    } else if (name == "heirmark_mark") {
      const double number = value.is_boolean() ? (value.get<bool>() ? 1.0 : 0.0) : value.is_number() ? value.get<double>() : -1.0;
      if (number != 0.0 && number != 1.0) throw std::invalid_argument("\"heirmark_mark\": expected true or false, 1 or 0");
      marked = number == 1.0;
    } else {
      throw std::invalid_argument("\"" + name + "\": heirmark has heirmark_account and heirmark_mark");
    }
  }
  if (!marked) {
    out.reason = "opted-out";
    return out;
  }
  std::string fault;
  if (const std::string kind = unsupported(sampling); !kind.empty()) {
    out.reason = "unsupported-" + kind;
    fault = kind + " chooses the token itself and is not supported with marks";
  } else if (uint32_t slot = 0; !account.empty()) {
    if (heirmark_keys_find_account(keys_.get(), account.c_str(), &slot) == HEIRMARK_OK) {
      out.account = slot;
    } else {
      out.reason = "unknown-account";
      fault = "the key has no such account";
    }
  }
  if (!fault.empty() && fail_closed_) {
    count("requests." + out.reason);
    throw std::invalid_argument("this request cannot be marked: " + fault);
  }
  return out;
}

void Server::begin(common_sampler* sampler, const Wish& wish) {
  if (!wish.reason.empty()) {
    count("requests." + wish.reason);
    report(false);
    return;
  }
  if (ledger_ != nullptr && fail_closed_) {
    if (const std::string error = ledger_error(ledger_); !error.empty()) {
      count("requests.ledger-fails");
      throw std::runtime_error("this request cannot be recorded: " + error);
    }
  }
  heirmark_llama_options options;
  heirmark_llama_options_init(&options);
  options.vocab_size = vocab_size_;
  options.stop_token = stop_token_;
  options.account_slot = slot_of(wish);
  options.policy = fail_closed_ ? HEIRMARK_LLAMA_STOP : HEIRMARK_LLAMA_COUNT;
  options.probabilities = 1;
  options.keep_steps = ledger_ != nullptr ? 1 : 0;
  llama_sampler* mark = nullptr;
  if (heirmark_llama_init(sampler_.get(), &options, &mark) != HEIRMARK_OK) throw std::runtime_error(heirmark_llama_last_error());
  llama_sampler* chain = common_sampler_get(sampler);
  llama_sampler_free(llama_sampler_chain_remove(chain, llama_sampler_chain_n(chain) - 1));
  llama_sampler_chain_add(chain, mark);
  count("requests.marked");
  if (!month_.empty() && this_month() != month_) count("requests.epoch-over");
}

llama_sampler* Server::find(const common_sampler* sampler) { return sampler == nullptr ? nullptr : heirmark_llama_find(common_sampler_get(sampler)); }

std::string Server::stopped(llama_sampler* mark) {
  heirmark_llama_report report;
  if (mark == nullptr || heirmark_llama_get_report(mark, &report) != HEIRMARK_OK || report.stopped == 0) return "";
  return std::string("a token could not be marked: ") + heirmark_llama_failure_name(report.last_failure);
}

std::string Server::end(llama_sampler* mark, const Wish& wish, uint64_t tokens) {
  heirmark_llama_report of;
  if (mark == nullptr || heirmark_llama_get_report(mark, &of) != HEIRMARK_OK || of.position == 0) return "";
  const char* account = heirmark_keys_account(keys_.get(), slot_of(wish));
  LOG_INF("heirmark: request id %s, account %s, %u window marks, %u issuance marks, %u unmarked, %u forced, %u failures (last: %s)\n",
          hex(of.request_id, sizeof of.request_id).c_str(), account, of.marked, of.issued, of.unmarked, of.forced, of.failures, heirmark_llama_failure_name(of.last_failure));
  count("tokens.marked", of.marked);
  count("tokens.issued", of.issued);
  count("tokens.unmarked", of.unmarked);
  count("tokens.infinite-logit", of.forced);
  count("tokens.failed", of.failures);
  std::string error;
  if (ledger_ != nullptr && heirmark_llama_record(mark, ledger_, account, tokens, nullptr) != HEIRMARK_OK) {
    error = heirmark_llama_record_error();
    count("responses.unrecorded");
    LOG_ERR("heirmark: a response is not recorded: %s\n", error.c_str());
  }
  if ((ledger_ == nullptr || !error.empty()) && heirmark_llama_begin(mark, nullptr) != HEIRMARK_OK) llama_sampler_reset(mark);
  report(false);
  return error.empty() || !fail_closed_ ? "" : "this response cannot be recorded: " + error;
}

void Server::close() {
  if (ledger_ != nullptr && heirmark_ledger_close(ledger_, kCloseMs) != HEIRMARK_OK) LOG_ERR("heirmark: %s\n", heirmark_ledger_last_error());
  ledger_ = nullptr;
  report(true);
}

void Server::count(const std::string& name, uint64_t by) {
  if (by == 0) return;
  const std::lock_guard<std::mutex> guard(mutex_);
  counts_[name] += by;
}

/// One line of counts a minute, where they changed, and at the end.
void Server::report(bool now) {
  const int64_t time = ggml_time_ms();
  if (!now && time - reported_at_ < kReportMs) return;
  std::map<std::string, uint64_t> counts;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    counts = counts_;
  }
  reported_at_ = time;
  if (counts == reported_) return;
  std::string line;
  for (const auto& [name, number] : counts) line += (line.empty() ? "" : ", ") + name + " " + std::to_string(number);
  LOG_INF("heirmark: %s\n", line.c_str());
  reported_ = std::move(counts);
}

}  // namespace heirmark_llama
