// The issuance ledger: what a server writes, and its verification.
#include <heirmark/keys.hpp>
#include <heirmark/ledger.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "common.hpp"

namespace heirmark::python {
namespace {
using namespace nb::literals;

std::chrono::milliseconds milliseconds_of(double seconds, const char* what) {
  if (!(seconds >= 0) || seconds > 1e9) usage(std::string(what) + " is a number of seconds from 0");
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
}

/// Pairs (token, p) up to the first that is no entry: p = 0.
std::vector<IssuedToken> likeliest_of(nb::handle phat) {
  std::vector<IssuedToken> out;
  for (nb::handle entry : phat) {
    std::pair<std::int64_t, std::int64_t> pair;
    try {
      pair = {nb::cast<std::int64_t>(entry[nb::int_(0)]), nb::cast<std::int64_t>(entry[nb::int_(1)])};
    } catch (const nb::cast_error&) {
      throw nb::type_error("phat: expected pairs (token, p) of integers");
    }
    if (pair.second == 0) break;
    if (pair.first < 0 || pair.first >= static_cast<std::int64_t>(kMaxVocab) || pair.second < 0 || pair.second > 0xFFFFFFFF)
      fail(ErrorCode::bad_input, "phat: entry " + std::to_string(out.size()) + " is out of range");
    out.push_back({static_cast<TokenId>(pair.first), static_cast<std::uint32_t>(pair.second)});
  }
  return out;
}

RowStatus status_of(nb::handle status) {
  const nb::object number = nb::int_(status);
  const auto value = nb::cast<std::int64_t>(number);
  if (value < 0 || value > static_cast<std::int64_t>(RowStatus::needs_all_logits)) fail(ErrorCode::bad_input, "no such status");
  return static_cast<RowStatus>(value);
}

void bind_writing(nb::module_& module) {
  nb::class_<Issued> issued(module, "Issued",
                            "One response while it is made, for Ledger.append: packed in memory as it grows, some 100 bytes a token with 16 likeliest tokens. Holds text of customers: not printed or pickled, and "
                            "wiped when it goes. One thread's at a time.");
  issued
      .def("__init__", [](Issued* self, nb::handle request_id, const std::string& account, nb::handle prompt) {
        new (self) Issued(request_id_of(request_id), account, tokens_of(prompt, "prompt"));
      }, "request_id"_a, "account"_a, "prompt"_a = nb::tuple(), nb::sig("def __init__(self, request_id: bytes, account: str, prompt: collections.abc.Iterable[int] = ()) -> None"),
           "request_id: the sequence's. account: whose subkey marks it. prompt: all tokens before the first generated one.")
      .def("add", [](Issued& self, std::int64_t token, nb::handle status, nb::handle phat) {
        if (token < 0 || token >= static_cast<std::int64_t>(kMaxVocab)) fail(ErrorCode::bad_input, "token " + std::to_string(token) + " is not from 0 to 2^20 - 1");
        const auto likeliest = likeliest_of(phat);
        take(self.add(static_cast<TokenId>(token), status_of(status), likeliest));
      }, "token"_a, "status"_a, "phat"_a = nb::tuple(),
           nb::sig("def add(self, token: int, status: RowStatus | int, phat: collections.abc.Iterable[tuple[int, int]] = ()) -> None"),
           "One token with its row's status and its likeliest tokens, Sampled.phat(row): (token, probability times 2^32), likeliest first; entries with p = 0 end the list. Without phat the token was certain: "
           "a grammar or the engine forced it. BadInputError changes nothing.")
      .def("truncate", &Issued::truncate, "tokens"_a, "Forgets all tokens but the first `tokens`: the engine took them back.")
      .def_prop_ro("marked_tokens", &Issued::marked_tokens, "Of its tokens, those that the key chose.")
      .def("__len__", &Issued::tokens)
      .def("__repr__", [](const Issued& self) { return "<heirmark.Issued, " + std::to_string(self.tokens()) + " tokens>"; });
  never_pickled(issued, "Issued holds text of customers and is not pickled or copied");

  nb::class_<LedgerStatus>(module, "LedgerState", "How a ledger is doing.")
      .def_ro("appended", &LedgerStatus::appended, "The last ticket.")
      .def_ro("durable", &LedgerStatus::durable, "Tickets up to this one are on the disk.")
      .def_ro("refused", &LedgerStatus::refused, "Responses for which the queue had no room.")
      .def_ro("queued_bytes", &LedgerStatus::queued_bytes)
      .def_ro("records", &LedgerStatus::records, "In the ledger, since it was made.")
      .def_ro("error", &LedgerStatus::error, "Why writing fails just now; empty when it does not.");

  nb::class_<Ledger> ledger(module, "Ledger",
                            "An issuance ledger that this process writes (specs/ledger.md); `heirmark ledger new`, or make_ledger, made its folder. Any thread may append. A context manager, which closes it.");
  ledger
      .def_static("open", [](const std::filesystem::path& folder, std::string model, std::string key_id, std::string config_digest, std::size_t queue_bytes, double linger, double checkpoint_every) {
        Ledger::Options options;
        options.model = std::move(model);
        options.key_id = std::move(key_id);
        options.config_digest = std::move(config_digest);
        options.queue_bytes = queue_bytes;
        options.linger = milliseconds_of(linger, "linger");
        options.checkpoint_every = std::chrono::duration_cast<std::chrono::seconds>(milliseconds_of(checkpoint_every, "checkpoint_every"));
        return unlocked([&] { return take(Ledger::open(folder, options)); });
      }, "folder"_a, nb::kw_only(), "model"_a, "key_id"_a = "", "config_digest"_a = "", "queue_bytes"_a = Ledger::Options{}.queue_bytes, "linger"_a = 0.02, "checkpoint_every"_a = 3600.0,
                  nb::sig("def open(folder: str | os.PathLike, *, model: str, key_id: str = '', config_digest: str = '', queue_bytes: int = 268435456, linger: float = 0.02, checkpoint_every: float = 3600.0) -> Ledger"),
                  "Opens it to write. model: ASCII, 1 to 256 characters. key_id: Subkeys.key_id; empty if nothing is marked. config_digest: SHA-256 of how the model is served, hex. queue_bytes: of responses that are "
                  "not on the disk; more are refused. linger: seconds that the first response of a batch waits for others. checkpoint_every: seconds, 1 to 86,400.\n\n"
                  "BadInputError: no ledger there. KeyAccessError: no permission. IOFailureError: another server has it open.")
      .def("append", [](Ledger& self, Issued& response) { return take(self.append(std::move(response))); }, "issued"_a,
           "Takes a response into the queue and returns its ticket. Never waits for the disk. IOFailureError: the queue is full, and the message says why; the response stays as it was, and the ledger counts it.")
      .def("wait", [](const Ledger& self, std::uint64_t ticket, double seconds) {
        const auto at_most = milliseconds_of(seconds, "seconds");
        // In short pieces, so that Ctrl-C ends it.
        using Clock = std::chrono::steady_clock;
        constexpr std::chrono::milliseconds kPiece{50};
        for (const auto until = Clock::now() + at_most;;) {
          const auto begun = Clock::now();
          const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - begun);
          const auto piece = std::clamp<std::chrono::milliseconds>(left, std::chrono::milliseconds{0}, kPiece);
          auto done = unlocked([&] { return self.wait(ticket, piece); });
          if (done || left <= kPiece || Clock::now() - begun < piece) return take(std::move(done));  // there, out of time, or no use to wait
          if (PyErr_CheckSignals() != 0) throw nb::python_error();
        }
      }, "ticket"_a, "seconds"_a = 10.0, "Waits until that ticket, and all before it, is on the disk; IOFailureError after the time, with what fails.")
      .def_prop_ro("state", &Ledger::status)
      .def_prop_ro("id", [](const Ledger& self) { return self.info().id; }, "16 hex digits.")
      .def("close", [](Ledger& self, double seconds) {
        const auto at_most = milliseconds_of(seconds, "seconds");
        unlocked([&] { take(self.close(at_most)); });
      }, "seconds"_a = 60.0, "Writes what is queued and a last checkpoint, and lets the ledger go. IOFailureError says how many responses are lost. A second call does nothing.")
      .def("__enter__", [](nb::object self) { return self; }, nb::sig("def __enter__(self) -> Ledger"))
      .def("__exit__", [](Ledger& self, const nb::args&) { unlocked([&] { take(self.close()); }); }, nb::sig("def __exit__(self, *args: object) -> None"))
      .def("__repr__", [](const Ledger& self) { return "<heirmark.Ledger " + (self.is_open() ? self.info().id : std::string("closed")) + ">"; });
  never_pickled(ledger, "a Ledger is this process's and is not pickled or copied: open it where it is written");
}

void bind_reading(nb::module_& module) {
  nb::class_<LedgerCheck>(module, "LedgerCheck", "What verify_ledger found. `problems` is empty for a good ledger.")
      .def_prop_ro("problems", [](const LedgerCheck& self) { return self.problems; })
      .def_prop_ro("records", [](const LedgerCheck& self) { return self.summary.records; })
      .def_prop_ro("responses", [](const LedgerCheck& self) { return self.summary.responses; })
      .def_prop_ro("tokens", [](const LedgerCheck& self) { return self.summary.tokens; })
      .def_prop_ro("marked_tokens", [](const LedgerCheck& self) { return self.summary.marked_tokens; })
      .def_prop_ro("lost", [](const LedgerCheck& self) { return self.summary.lost; })
      .def_prop_ro("purged", [](const LedgerCheck& self) { return self.summary.purged; })
      .def_ro("checkpoints", &LedgerCheck::checkpoints)
      .def_ro("covered", &LedgerCheck::covered, "Records under the last checkpoint.")
      .def_ro("opened", &LedgerCheck::opened, "Sealed parts that were opened and fit their digests.")
      .def_ro("root", &LedgerCheck::root, "Of all records, hex.")
      .def("__repr__", [](const LedgerCheck& self) {
        return "<heirmark.LedgerCheck, " + std::to_string(self.summary.records) + " records, " + std::to_string(self.problems.size()) + " problems>";
      });
  module.def("make_ledger", [](const std::filesystem::path& folder, Keystore& store) { return unlocked([&] { return take(make_ledger(folder, store, now())).id; }); }, "folder"_a, "store"_a,
             nb::sig("def make_ledger(folder: str | os.PathLike, store: Keystore) -> str"),
             "Makes the folder of a new issuance ledger and puts the secret that opens its responses into the keystore. Returns its id.");
  module.def("verify_ledger", [](const std::filesystem::path& folder, const Keystore* store, const std::vector<std::string>& published) {
    return unlocked([&] {
      const auto reader = take(LedgerReader::open(folder));
      LedgerSecret secret;
      LedgerReader::VerifyOptions options;
      if (store != nullptr) {
        secret.secret = take(store->ledger_secret(reader.info().id));
        options.secret = &secret;
      }
      options.published = published;
      return take(reader.verify(options));
    });
  }, "folder"_a, nb::kw_only(), "store"_a = nb::none(), "published"_a = std::vector<std::string>(),
             nb::sig("def verify_ledger(folder: str | os.PathLike, *, store: Keystore | None = None, published: collections.abc.Sequence[str] = ()) -> LedgerCheck"),
             "Recomputes a ledger (specs/ledger.md, \"What a reader checks\"); a server may be writing. store: opens the sealed parts too. published: checkpoints that were kept, which it must still fit.");
}
}  // namespace

void bind_ledger(nb::module_& module) {
  bind_writing(module);
  bind_reading(module);
}

}  // namespace heirmark::python
