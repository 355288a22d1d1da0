// The writing side: a bounded queue, and one thread that seals, numbers and commits in batches.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/files.hpp"
#include "base/text.hpp"
#include "crypto/secretbox.hpp"
#include "ledger/checkpoint.hpp"
#include "ledger/folder.hpp"
#include "ledger/record.hpp"

namespace heirmark {
namespace {
using namespace std::chrono_literals;
using ledger::Database;
using ledger::State;
using ledger::Transaction;

constexpr const char* kForked = "this process was forked from the one that opened the ledger; open it here";
constexpr auto kRetry = 250ms;  // between attempts while the disk or a lock fails

bool is_hex(std::string_view text, std::size_t digits) { return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

/// flock on writer.lock: ends with the process, however it ends, and with each child that it forked and that runs no other program.
class Lock {
 public:
  static Result<Lock> take(const std::filesystem::path& file) {
    Lock out(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (out.fd_ < 0) return files::failure(file, errno, files::Access::write);
    // doctor holds the lock for a moment when it looks whether a server does.
    for (int attempt = 0; ::flock(out.fd_, LOCK_EX | LOCK_NB) != 0; ++attempt) {
      if (errno != EWOULDBLOCK) return files::failure(file, errno, files::Access::write);
      if (attempt == 4) return Error{ErrorCode::io, file.parent_path().string() + ": another server has this ledger open; give each its own"};
      std::this_thread::sleep_for(50ms);
    }
    return out;
  }
  Lock(Lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Lock& operator=(Lock&&) = delete;
  ~Lock() {
    if (fd_ < 0) return;
    ::flock(fd_, LOCK_UN);  // a child that was forked has the descriptor too, and closing ours alone would leave the lock with it
    ::close(fd_);
  }

 private:
  explicit Lock(int fd) : fd_(fd) {}
  int fd_;
};

struct Session { std::uint64_t id; Secret32 key; };

/// A data key of this run, known to the server, and on the disk to whoever has the ledger's secret.
Result<Session> begin_session(Database& database, const LedgerInfo& info) {
  std::array<std::uint8_t, 32> bytes{};
  if (auto done = crypto::random_bytes(bytes); !done) return done.error();
  Session out{0, Secret32(std::span<const std::uint8_t, 32>(bytes))};
  const auto public_key = crypto::hex_decode(info.seal_key);
  if (!public_key) return public_key.error();
  const auto sealed = crypto::box_seal(std::span<const std::uint8_t, 32>(public_key->data(), 32), bytes);
  crypto::wipe(bytes);
  if (!sealed) return sealed.error();
  auto transaction = Transaction::begin(database, true);
  if (!transaction) return transaction.error();
  auto last = database.prepare("SELECT COALESCE(MAX(id), 0) FROM sessions");
  if (!last) return last.error();
  if (const auto row = last->step(); !row) return row.error();
  out.id = last->number(0) + 1;
  last->reset();
  auto insert = database.prepare("INSERT INTO sessions (id, sealed) VALUES (?, ?)");
  if (!insert) return insert.error();
  if (auto done = insert->bind(0, out.id).bind(1, *sealed).run(); !done) return done.error();
  if (auto done = transaction->commit(); !done) return done.error();
  return out;
}

}  // namespace

struct Ledger::Impl {
  Impl(LedgerInfo about, Options chosen, Lock taken, crypto::PrivateKey signer, Database base, Session begun)
      : info(std::move(about)), options(std::move(chosen)), lock(std::move(taken)), log_key(std::move(signer)), opened(std::move(base)), session(std::move(begun)),
        process(::getpid()) {}

  const LedgerInfo info;
  const Options options;
  std::optional<Lock> lock;
  const crypto::PrivateKey log_key;
  std::optional<Database> opened;  // the thread's alone after open(), until that ends
  Session session;
  const pid_t process;    // a child that was forked has no thread to write with

  mutable std::mutex mutex;
  std::condition_variable work;             // for the thread
  mutable std::condition_variable written;  // for those who wait
  std::deque<Issued> queue;                 // guarded by mutex, as is all that follows
  std::size_t queued_bytes = 0;
  std::uint64_t appended = 0, durable = 0, refused = 0, told_lost = 0, records = 0;
  std::string error;
  bool closing = false, abandoned = false, ended = false, finished = false;  // finished: all is written, the last checkpoint too
  std::mutex end;  // of close(): one at a time
  std::thread thread;

  [[nodiscard]] std::int64_t now() const { return options.clock ? options.clock() : static_cast<std::int64_t>(std::time(nullptr)); }
  [[nodiscard]] std::int64_t period(std::int64_t seconds) const { return seconds / options.checkpoint_every.count(); }

  // ---- What the thread does

  /// A checkpoint of the tree as it is, if it has grown since the last one. What is recorded later is not earlier than it.
  Result<void> checkpoint(State& state, const std::string& time) {
    Database& database = *opened;
    auto last = database.prepare("SELECT COALESCE(MAX(size), 0) FROM checkpoints");
    if (!last) return last.error();
    if (const auto row = last->step(); !row) return row.error();
    const bool grown = state.tree.size() > last->number(0);
    last->reset();
    if (!grown) return {};
    const auto note = ledger::make_checkpoint(info.id, state.tree.size(), state.tree.root(), time, log_key);
    if (!note) return note.error();
    state.time = time;
    auto insert = database.prepare("INSERT INTO checkpoints (size, note) VALUES (?, ?)");
    if (!insert) return insert.error();
    return insert->bind(0, state.tree.size()).bind(1, *note).run();
  }

  Result<void> insert(ledger::Statement& statement, State& state, const Issued& issued, std::string_view time) const {
    std::array<std::uint8_t, 32> random{};
    if (auto done = crypto::random_bytes(random); !done) return done;
    const Secret32 salt{std::span<const std::uint8_t, 32>(random)};
    crypto::wipe(random);
    const ledger::WipedBytes plaintext{ledger::pack(salt, *issued.packed_)};
    const auto box = crypto::seal(session.key, ledger::associated(info, state.tree.size()), plaintext.bytes);
    if (!box) return box.error();
    std::vector<std::uint8_t> sealed;
    sealed.reserve(8 + box->size());
    for (int shift = 56; shift >= 0; shift -= 8) sealed.push_back(static_cast<std::uint8_t>(session.id >> shift));
    sealed.insert(sealed.end(), box->begin(), box->end());
    const std::string line = ledger::response_line({state.tree.size(), time, options.key_id, options.model, options.config_digest, issued.tokens(), issued.marked_tokens(),
                                                    ledger::digests_of(salt, *issued.packed_), crypto::sha256(crypto::ByteView(sealed))});
    return ledger::insert_record(statement, state, line, time, sealed);
  }

  /// One transaction: a checkpoint where a period ended, what was lost, the batch; at the end of all, a last checkpoint.
  Result<std::uint64_t> write(const std::deque<Issued>& batch, std::uint64_t lost, bool period_over, bool last) {
    Database& database = *opened;
    auto transaction = Transaction::begin(database, true);
    if (!transaction) return transaction.error();
    auto state = ledger::read_state(database);
    if (!state) return state.error();
    const std::int64_t seconds = now();
    if (seconds < 0 || seconds > 253402300799) return Error{ErrorCode::io, "the clock shows no year from 1970 to 9999"};
    // The clock may be set back; the ledger's times never fall.
    const std::string time = std::max(ledger::time_text(seconds), state->time);
    if (period_over) {
      if (auto done = checkpoint(*state, time); !done) return done.error();
    }
    {
      auto statement = database.prepare(ledger::kInsertRecord);
      if (!statement) return statement.error();
      if (lost > 0) {
        if (auto done = ledger::insert_record(*statement, *state, ledger::lost_line(state->tree.size(), time, lost), time, {}); !done) return done.error();
      }
      for (const Issued& issued : batch) {
        if (auto done = insert(*statement, *state, issued, time); !done) return done.error();
      }
    }
    if (last) {
      if (auto done = checkpoint(*state, time); !done) return done.error();
    }
    if (auto done = ledger::write_state(database, *state); !done) return done.error();
    if (auto done = database.in_its_place(); !done) return done.error();
    if (auto done = transaction->commit(); !done) return done.error();
    return state->tree.size();
  }

  void loop() {
    std::unique_lock guard(mutex);
    std::int64_t last_period = -1;  // none yet: at the start a checkpoint may be due for what an earlier server left without one
    for (;;) {
      const auto due = [&] { return period(now()) != last_period; };
      // A period's end is looked for each second: the clock is the system's, and may be set.
      while (!closing && queue.empty() && told_lost == refused && !due()) work.wait_for(guard, 1s);
      if (!closing && !queue.empty() && options.linger.count() > 0) {
        work.wait_for(guard, options.linger, [this] { return closing || queued_bytes > options.queue_bytes / 2; });
      }
      const bool last = closing;
      std::deque<Issued> batch;
      batch.swap(queue);
      std::size_t bytes = 0;
      for (const Issued& issued : batch) bytes += issued.bytes();
      const std::uint64_t lost = refused - told_lost;
      const std::int64_t this_period = period(now());
      const std::uint64_t count = batch.size();
      guard.unlock();
      Result<std::uint64_t> done = Error{};
      try {
        done = write(batch, lost, this_period != last_period, last);
        if (done) batch.clear();  // wiping may take a while: not with the lock
      } catch (const std::exception& fault) {
        done = Error{ErrorCode::io, fault.what()};
      }
      guard.lock();
      if (done) {
        error.clear();
        records = *done;
        durable += count;
        told_lost += lost;
        queued_bytes -= bytes;
        last_period = this_period;
        written.notify_all();
        finished = last;
        if (last) break;
      } else {
        error = done.error().message;
        // Back in front of what came meanwhile: nothing is lost, and the order stays.
        queue.insert(queue.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
        written.notify_all();
        work.wait_for(guard, kRetry, [this] { return abandoned; });  // appends must not hurry it
      }
      if (abandoned) break;
    }
    ended = true;
    written.notify_all();
  }
};

Result<Ledger> Ledger::open(const std::filesystem::path& folder, const Options& options) {
  if (!options.key_id.empty() && !is_hex(options.key_id, 16)) return Error{ErrorCode::usage, "a key id is 16 lower-case hex digits"};
  if (!options.config_digest.empty() && !is_hex(options.config_digest, 64)) return Error{ErrorCode::usage, "a configuration's digest is 64 lower-case hex digits"};
  if (options.model.empty() || options.model.size() > ledger::kLongestModel || text::printable(options.model, ledger::kLongestModel) != options.model)
    return Error{ErrorCode::usage, "a model's name is 1 to 256 printable ASCII characters"};
  if (options.checkpoint_every < 1s || options.checkpoint_every > 24h) return Error{ErrorCode::usage, "checkpoints are 1 second to 1 day apart"};
  if (options.queue_bytes == 0 || options.linger < 0ms || options.linger > 10s) return Error{ErrorCode::usage, "the queue must have room, and a batch waits for at most 10 s"};
  auto info = ledger::read_info(folder);
  if (!info) return info.error();
  auto key = ledger::read_log_key(folder, *info);
  if (!key) return key.error();
  auto lock = Lock::take(folder / ledger::kLockFile);
  if (!lock) return lock.error();
  auto database = Database::open(folder / ledger::kDatabaseFile, Database::Access::write);
  if (!database) return database.error();
  auto session = begin_session(*database, *info);
  if (!session) return session.error();
  const auto state = ledger::read_state(*database);
  // To a server, a ledger that is wrong is a file that it was given.
  if (!state) return Error{state.error().code == ErrorCode::invalid_evidence ? ErrorCode::bad_input : state.error().code, state.error().message};
  auto impl = std::make_unique<Impl>(*std::move(info), options, *std::move(lock), *std::move(key), *std::move(database), *std::move(session));
  impl->records = state->tree.size();
  try {
    impl->thread = std::thread([raw = impl.get()] { raw->loop(); });
  } catch (const std::system_error& error) {
    return Error{ErrorCode::io, std::string("no thread for the ledger: ") + error.what()};
  }
  return Ledger(std::move(impl));
}

Result<void> Ledger::may_open(const std::filesystem::path& folder) {
  const auto info = ledger::read_info(folder);
  if (!info) return info.error();
  if (const auto key = ledger::read_log_key(folder, *info); !key) return key.error();
  const auto beside = [&folder](const char* end) { return folder / (std::string(ledger::kDatabaseFile) + end); };
  // SQLite makes -wal and -shm in the folder, a server the lock.
  for (const auto& [path, may_be_missing] : {std::pair{folder, false}, {folder / ledger::kDatabaseFile, false}, {folder / ledger::kLockFile, true}, {beside("-wal"), true}, {beside("-shm"), true}})
    if (!(may_be_missing && files::is_missing(path)) && ::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) != 0) return files::failure(path, errno, files::Access::write);
  return {};
}

Result<std::uint64_t> Ledger::append(Issued&& issued) {
  if (!impl_) return Error{ErrorCode::usage, "the ledger is closed"};
  if (::getpid() != impl_->process) return Error{ErrorCode::usage, kForked};
  if (!issued.packed_) return Error{ErrorCode::bad_input, "this response was appended already"};
  if (issued.tokens() == 0) return Error{ErrorCode::bad_input, "a response without tokens"};
  if (!is_key_name(issued.packed_->account)) return Error{ErrorCode::bad_input, "\"" + text::printable(issued.packed_->account, 80) + "\" is no account's name"};
  const auto& prompt = issued.packed_->prompt;
  if (prompt.size() + issued.tokens() > kMaxVocab) return Error{ErrorCode::bad_input, "more than 1048576 tokens"};
  if (std::any_of(prompt.begin(), prompt.end(), [](TokenId token) { return token >= kMaxVocab; })) return Error{ErrorCode::bad_input, "a prompt's token is not below 2^20"};
  if (issued.marked_tokens() > 0 && impl_->options.key_id.empty()) return Error{ErrorCode::bad_input, "a marked response in a ledger that was opened without a key id"};
  const std::lock_guard guard(impl_->mutex);
  if (impl_->closing) return Error{ErrorCode::usage, "the ledger is closed"};
  const std::size_t bytes = issued.bytes();
  if (bytes > impl_->options.queue_bytes - std::min(impl_->options.queue_bytes, impl_->queued_bytes)) {
    ++impl_->refused;
    impl_->work.notify_one();
    if (bytes > impl_->options.queue_bytes)
      return Error{ErrorCode::io, "the ledger's queue is full with this response alone: it takes " + std::to_string(bytes) + " bytes, and there is room for " + std::to_string(impl_->options.queue_bytes)};
    return Error{ErrorCode::io, "the ledger's queue is full" + (impl_->error.empty() ? std::string() : ": " + impl_->error)};
  }
  impl_->queue.push_back(std::move(issued));
  impl_->queued_bytes += bytes;
  impl_->work.notify_one();
  return ++impl_->appended;
}

Result<void> Ledger::wait(std::uint64_t ticket, std::chrono::milliseconds at_most) const {
  if (!impl_) return Error{ErrorCode::usage, "the ledger is closed"};
  if (::getpid() != impl_->process) return Error{ErrorCode::usage, kForked};  // the mutex may be held, for ever, as it was at the fork
  std::unique_lock guard(impl_->mutex);
  if (ticket == 0 || ticket > impl_->appended) return Error{ErrorCode::usage, "no such ticket"};
  impl_->written.wait_for(guard, at_most, [&] { return impl_->durable >= ticket || impl_->ended; });
  if (impl_->durable >= ticket) return {};
  return Error{ErrorCode::io, impl_->error.empty() ? "not yet on the disk" : impl_->error};
}

LedgerStatus Ledger::status() const {
  if (!impl_) return {};
  if (::getpid() != impl_->process) return {0, 0, 0, 0, 0, kForked};
  const std::lock_guard guard(impl_->mutex);
  return {impl_->appended, impl_->durable, impl_->refused, impl_->queued_bytes, impl_->records, impl_->error};
}

const LedgerInfo& Ledger::info() const noexcept {
  static const LedgerInfo kNone;
  return impl_ ? impl_->info : kNone;
}

Result<void> Ledger::close(std::chrono::milliseconds at_most) {
  if (!impl_) return {};
  if (::getpid() != impl_->process) {
    // The thread is the parent's, and so is the ledger: nothing here is ours to end.
    (void)impl_.release();
    return {};
  }
  // Others may be in wait() or append(): what they use stays until the handle goes.
  const std::lock_guard one_at_a_time(impl_->end);
  if (!impl_->thread.joinable()) return {};
  {
    std::unique_lock guard(impl_->mutex);
    impl_->closing = true;
    impl_->work.notify_one();
    if (!impl_->written.wait_for(guard, at_most, [this] { return impl_->ended; })) {
      impl_->abandoned = true;
      impl_->work.notify_one();
    }
  }
  impl_->thread.join();
  impl_->session.key.wipe();
  impl_->opened.reset();
  impl_->lock.reset();
  const std::lock_guard guard(impl_->mutex);
  impl_->queue.clear();
  if (impl_->finished) return {};
  const std::string why = impl_->error.empty() ? "the time was too short" : impl_->error;
  if (const std::uint64_t left = impl_->appended - impl_->durable; left > 0) return Error{ErrorCode::io, std::to_string(left) + " responses could not be written and are lost: " + why};
  return Error{ErrorCode::io, "no last checkpoint: " + why};
}

bool Ledger::is_open() const noexcept {
  if (!impl_ || ::getpid() != impl_->process) return false;
  const std::lock_guard guard(impl_->mutex);
  return !impl_->closing;
}

Ledger::Ledger(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Ledger::Ledger(Ledger&&) noexcept = default;
Ledger& Ledger::operator=(Ledger&& other) noexcept {
  if (this != &other) {
    (void)close(10s);
    impl_ = std::move(other.impl_);
  }
  return *this;
}
Ledger::~Ledger() { (void)close(10s); }

}  // namespace heirmark
