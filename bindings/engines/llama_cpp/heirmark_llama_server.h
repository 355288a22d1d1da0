// heirmark in llama-server: what llama-server.patch calls. C++17, compiled in llama.cpp's own tree, whose JSON, SHA-256 and log it uses.
//
// Configuration, a client's wish, policy and counters are those of the Python engines (heirmark/serving.py): one file, named by HEIRMARK_CONFIG, serves all.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "heirmark_llama_ledger.h"

class common_json;
struct common_params_sampling;
struct common_sampler;
struct llama_vocab;

namespace heirmark_llama {

/// What becomes of a request: by default it is marked, for the configuration's account.
struct Wish {
  std::optional<uint32_t> account;  ///< slot of the account that it names
  std::string reason;               ///< not empty: it is not marked, and this says why, as the counter requests.REASON does
};

/// One for each process. Any thread may ask accept(); the rest is the thread's that runs the slots.
class Server {
 public:
  /// Null where HEIRMARK_CONFIG is not set. Reads the configuration and the subkeys file and opens the ledger, before a model is loaded. std::runtime_error: one line that
  /// names file and member.
  static std::unique_ptr<Server> from_environment();
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// The model is loaded, or loaded again. std::runtime_error.
  void load(const llama_vocab* vocab);

  /// What a request asks for by heirmark_account and heirmark_mark, read where it is submitted. std::invalid_argument: a wrong value; or, under fail-closed, what cannot be marked.
  Wish accept(const common_json& body, const common_params_sampling& sampling);

  /// A response begins: heirmark takes the place of the chain's last sampler, unless the wish says otherwise. std::runtime_error: under fail-closed, while the ledger cannot write.
  void begin(common_sampler* sampler, const Wish& wish);

  /// heirmark's sampler of a chain that begin() has changed; null in another.
  static llama_sampler* find(const common_sampler* sampler);

  /// May the response not go on? Why; empty if it may.
  static std::string stopped(llama_sampler* mark);

  /// A response has ended with `tokens` tokens: counts, logs and records it; again, nothing happens. Returns why it must not be given out, as it is not recorded; else "".
  std::string end(llama_sampler* mark, const Wish& wish, uint64_t tokens);

  /// Writes what is queued, and says what is lost; for the end of the process.
  void close();

 private:
  Server() = default;
  void count(const std::string& name, uint64_t by = 1);
  void report(bool now);
  uint32_t slot_of(const Wish& wish) const { return wish.account.value_or(account_); }

  struct Free {
    void operator()(heirmark_keys* keys) const { heirmark_keys_free(keys); }
    void operator()(heirmark_sampler* sampler) const { heirmark_sampler_free(sampler); }
  };
  std::unique_ptr<heirmark_keys, Free> keys_;
  std::unique_ptr<heirmark_sampler, Free> sampler_;
  heirmark_ledger* ledger_ = nullptr;
  uint32_t account_ = 0;
  uint32_t vocab_size_ = 0;
  llama_token stop_token_ = 0;
  bool fail_closed_ = true;
  std::string month_;  ///< of the keys, where the configuration names none

  std::mutex mutex_;
  std::map<std::string, uint64_t> counts_;    // guarded by mutex_
  std::map<std::string, uint64_t> reported_;
  int64_t reported_at_ = 0;                   // ms
};

}  // namespace heirmark_llama
