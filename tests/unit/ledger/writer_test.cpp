#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <span>
#include <thread>

#include "ledger/folder.hpp"
#include "made.hpp"

namespace heirmark {
namespace {
using namespace std::chrono_literals;

/// Holds the database's write lock as another program would.
class Locker {
 public:
  explicit Locker(const std::filesystem::path& folder) {
    REQUIRE(sqlite3_open((folder / "ledger.db").c_str(), &handle_) == SQLITE_OK);
    sqlite3_busy_timeout(handle_, 10'000);  // the ledger may be writing just now
    REQUIRE(sqlite3_exec(handle_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  Locker(const Locker&) = delete;
  Locker& operator=(const Locker&) = delete;
  ~Locker() { sqlite3_close(handle_); }

 private:
  sqlite3* handle_ = nullptr;
};

TEST_CASE("what was appended comes back as it went in, in order", "[ledger]") {
  Made made;
  {
    Ledger ledger = made.open();
    for (std::uint32_t i = 0; i < 50; ++i) REQUIRE(ledger.append(some_response(i, i % 2 == 0 ? "alice" : "bob")).value() == i + 1);
    REQUIRE(ledger.wait(50, 10s).ok());
    const LedgerStatus status = ledger.status();
    CHECK(status.durable == 50);
    CHECK(status.records == 50);
    CHECK(status.refused == 0);
    CHECK(status.queued_bytes == 0);
    REQUIRE(ledger.close().ok());
  }
  const LedgerCheck check = made.check();
  CHECK(check.problems.empty());
  CHECK(check.opened == 50);
  CHECK(check.covered == 50);
  CHECK(check.checkpoints == 1);
  CHECK(check.summary.tokens == 250);
  CHECK(check.summary.marked_tokens == 250);

  const auto reader = LedgerReader::open(made.folder()).value();
  std::uint32_t next = 0;
  LedgerReader::Filter filter;
  REQUIRE(reader.each_response(made.secret(), filter, [&](const LedgerRecord& record, IssuedResponse&& response) -> Result<void> {
    CHECK(record.seq == next);
    CHECK(response.account == (next % 2 == 0 ? "alice" : "bob"));
    REQUIRE(response.tokens.size() == 5);
    REQUIRE(response.phat.size() == 5);
    for (std::uint32_t t = 0; t < 5; ++t) {
      REQUIRE(response.phat[t].size() == 16);
      CHECK(response.phat[t][3].token == (next + t + 51) % 100'000);
      CHECK(response.phat[t][3].p == 1u << 28);
    }
    ++next;
    return {};
  }, {}).ok());
  CHECK(next == 50);
  filter.accounts = {"bob"};
  int bobs = 0;
  REQUIRE(reader.each_response(made.secret(), filter, [&](const LedgerRecord&, IssuedResponse&& response) -> Result<void> {
    CHECK(response.account == "bob");
    ++bobs;
    return {};
  }, {}).ok());
  CHECK(bobs == 25);
}

TEST_CASE("several threads append to one ledger", "[ledger]") {
  Made made;
  Ledger ledger = made.open();
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (std::uint32_t t = 0; t < 4; ++t)
    threads.emplace_back([&ledger, &good, t] {
      for (std::uint32_t i = 0; i < 100; ++i) {
        RequestId id;
        id.bytes[0] = static_cast<std::uint8_t>(t);
        id.bytes[1] = static_cast<std::uint8_t>(i);
        Issued issued(id, "default", {});
        if (issued.add(i, RowStatus::issued, {}).ok() && ledger.append(std::move(issued)).ok()) ++good;
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(good == 400);
  REQUIRE(ledger.close().ok());
  const LedgerCheck check = made.check();
  CHECK(check.problems.empty());
  CHECK(check.opened == 400);
}

TEST_CASE("a ledger has one writer, and is there again when that ends", "[ledger]") {
  Made made;
  Ledger ledger = made.open();
  const auto second = Ledger::open(made.folder(), made.options());
  REQUIRE(!second.ok());
  CHECK(second.error().code == ErrorCode::io);
  CHECK(second.error().message.find("another server") != std::string::npos);
  REQUIRE(ledger.append(some_response(1)).ok());
  REQUIRE(ledger.close().ok());
  CHECK(ledger.append(some_response(2)).error().code == ErrorCode::usage);
  Ledger again = made.open();
  CHECK(again.append(some_response(2)).value() == 1);
  REQUIRE(again.close().ok());
  const LedgerCheck check = made.check();
  CHECK(check.problems.empty());
  CHECK(check.summary.responses == 2);
  CHECK(check.checkpoints == 2);
}

TEST_CASE("while the database is locked responses wait; a full queue refuses and the ledger says how many", "[ledger]") {
  Made made;
  auto options = made.options();
  options.queue_bytes = 10 * some_response(0).bytes();
  Ledger ledger = Ledger::open(made.folder(), options).value();
  REQUIRE(ledger.append(some_response(0)).ok());
  REQUIRE(ledger.wait(1, 10s).ok());
  std::uint64_t taken = 1, refused = 0;
  {
    const Locker locker(made.folder());
    for (std::uint32_t i = 1; i < 30; ++i) {
      const auto ticket = ledger.append(some_response(i));
      if (ticket) taken = *ticket;
      else {
        ++refused;
        CHECK(ticket.error().code == ErrorCode::io);
        CHECK(ticket.error().message.find("queue is full") != std::string::npos);
      }
    }
    CHECK(refused > 0);
    const auto waited = ledger.wait(taken, 3s);  // longer than the thread waits for a lock
    REQUIRE(!waited.ok());
    CHECK(waited.error().message.find("locked by another program") != std::string::npos);
    CHECK(ledger.status().error.find("locked by another program") != std::string::npos);
  }
  REQUIRE(ledger.wait(taken, 20s).ok());
  CHECK(ledger.status().error.empty());
  REQUIRE(ledger.append(some_response(99)).ok());
  REQUIRE(ledger.close().ok());
  const LedgerCheck check = made.check();
  CHECK(check.problems.empty());
  CHECK(check.summary.responses == taken + 1);
  CHECK(check.summary.lost == refused);
}

TEST_CASE("a disk that is full for a while loses nothing", "[ledger]") {
  // A limit on the size of files stands for the disk; it is the process's, so a child takes it.
  Made made;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    auto opened = Ledger::open(made.folder(), made.options());
    if (!opened) ::_exit(10);
    Ledger ledger = *std::move(opened);
    rlimit small = before;
    small.rlim_cur = 64 << 10;
    ::setrlimit(RLIMIT_FSIZE, &small);
    std::uint64_t last = 0;
    for (std::uint32_t i = 0; i < 40; ++i) last = ledger.append(some_response(i, "default", 100)).value();
    if (ledger.wait(last, 2s).ok()) ::_exit(11);
    const std::uint64_t durable = ledger.status().durable;
    if (ledger.status().error.empty() || durable == last) ::_exit(12);
    ::setrlimit(RLIMIT_FSIZE, &before);
    if (!ledger.wait(last, 20s).ok()) ::_exit(13);
    if (!ledger.close().ok()) ::_exit(14);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  const LedgerCheck check = made.check();
  CHECK(check.problems.empty());
  CHECK(check.opened == 40);
}

TEST_CASE("a ledger that was moved away is not written to where nobody looks for it", "[ledger]") {
  Made made;
  const std::filesystem::path away = made.folder().string() + "-away";
  Ledger ledger = made.open();
  REQUIRE(ledger.wait(ledger.append(some_response(0)).value(), 10s).ok());
  std::filesystem::rename(made.folder(), away);
  const auto ticket = ledger.append(some_response(1));
  REQUIRE(ticket.ok());
  const auto waited = ledger.wait(*ticket, 2s);
  REQUIRE(!waited.ok());
  CHECK(waited.error().message.find("was moved or deleted") != std::string::npos);
  CHECK(ledger.status().error.find("was moved or deleted") != std::string::npos);
  // Back at its place it gets what waited.
  std::filesystem::rename(away, made.folder());
  CHECK(ledger.wait(*ticket, 20s).ok());
  REQUIRE(ledger.close().ok());
  const LedgerCheck check = made.check();
  CHECK(check.problems.empty());
  CHECK(check.summary.responses == 2);
}

TEST_CASE("close gives up after its time and says what is lost", "[ledger]") {
  Made made;
  Ledger ledger = made.open();
  const Locker locker(made.folder());
  REQUIRE(ledger.append(some_response(1)).ok());
  REQUIRE(ledger.append(some_response(2)).ok());
  const auto closed = ledger.close(100ms);
  REQUIRE(!closed.ok());
  CHECK(closed.error().code == ErrorCode::io);
  CHECK(closed.error().message.find("2 responses") == 0);
}

TEST_CASE("a checkpoint ends each hour in which something was recorded, and the times never fall", "[ledger]") {
  Made made;
  Ledger ledger = made.open();
  const auto record = [&](std::uint32_t seed) { REQUIRE(ledger.wait(ledger.append(some_response(seed)).value(), 10s).ok()); };
  record(1);
  made.seconds += 600;
  record(2);
  made.seconds += 3600;
  record(3);  // the first hour's checkpoint comes before it
  made.seconds -= 1800;
  record(4);
  made.seconds += 3 * 3600;
  // Nobody appends: the thread finds by itself that the hour is over.
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  std::vector<LedgerCheckpoint> checkpoints;
  while (checkpoints.size() < 3 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(50ms);
    checkpoints = LedgerReader::open(made.folder())->checkpoints().value();
  }
  REQUIRE(checkpoints.size() == 3);
  CHECK(checkpoints[0].size == 2);
  CHECK(checkpoints[0].time == "2026-11-25T13:10:00Z");
  CHECK(checkpoints[1].size == 3);  // the clock was set back into another hour
  CHECK(checkpoints[1].time == "2026-11-25T13:10:00Z");
  CHECK(checkpoints[2].size == 4);
  REQUIRE(ledger.close().ok());
  const LedgerCheck check = made.check();
  CHECK(check.problems.empty());
  CHECK(check.checkpoints == 3);  // the last one covers all: no other is needed
  CHECK(check.summary.first == "2026-11-25T12:00:00Z");
  CHECK(check.summary.last == "2026-11-25T13:10:00Z");
}

TEST_CASE("a clock that was set back between two servers leaves a good ledger", "[ledger]") {
  Made made;
  {
    Ledger first = made.open();
    REQUIRE(first.append(some_response(1)).ok());
    REQUIRE(first.wait(1, 10s).ok());
    made.seconds += 3000;  // idle, and then closed: the checkpoint is later than every record
    REQUIRE(first.close().ok());
  }
  made.seconds -= 2400;
  {
    Ledger second = made.open();
    REQUIRE(second.append(some_response(2)).ok());
    REQUIRE(second.close().ok());
  }
  const LedgerCheck check = made.check();
  CHECK(check.problems.empty());
  CHECK(check.summary.last == "2026-11-25T12:50:00Z");  // not before what the first checkpoint said
}

TEST_CASE("a ledger may be closed while others wait and append", "[ledger]") {
  Made made;
  Ledger ledger = made.open();
  const Locker locker(made.folder());
  std::vector<std::thread> threads;
  std::atomic<int> ended{0};
  REQUIRE(ledger.append(some_response(0)).ok());
  for (std::uint32_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      (void)ledger.append(t % 2 == 0 ? Issued(RequestId{}, "default", {}) : Issued(RequestId{}, "no name", {}));
      CHECK_FALSE(ledger.wait(1, 20s).ok());
      ++ended;
    });
  std::this_thread::sleep_for(50ms);
  CHECK_FALSE(ledger.close(10ms).ok());
  for (auto& thread : threads) thread.join();
  CHECK(ended == 4);
  CHECK_FALSE(ledger.is_open());
  CHECK(ledger.append(some_response(1)).error().code == ErrorCode::usage);
  CHECK(ledger.status().durable == 0);
  CHECK(ledger.close().ok());
}

TEST_CASE("a child that was forked does not keep the ledger from the next server", "[ledger]") {
  Made made;
  Ledger ledger = made.open();
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    char byte;
    ::close(ends[1]);
    ::_exit(::read(ends[0], &byte, 1) == 0 ? 0 : 1);  // until the parent lets go
  }
  ::close(ends[0]);
  REQUIRE(ledger.close().ok());
  CHECK(Ledger::open(made.folder(), made.options()).ok());
  ::close(ends[1]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
}

TEST_CASE("a child that was forked is told that the ledger is not its own, and waits for nothing", "[ledger]") {
  Made made;
  Ledger ledger = made.open();
  const std::uint64_t ticket = ledger.append(some_response(1)).value();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto waited = ledger.wait(ticket, 60s);
    const bool told = !waited && waited.error().code == ErrorCode::usage && !ledger.status().error.empty() && !ledger.is_open();
    ::_exit(told ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(ledger.wait(ticket, 10s).ok());
  CHECK(ledger.close().ok());
}

TEST_CASE("a value that SQLite does not take fails the statement, and is not NULL", "[ledger]") {
  // SQLite leaves a parameter that it could not bind as it was, and goes on. Pages that nobody touches stand for a response of more than its 10^9 bytes.
  Made made;
  constexpr std::size_t kTooMany = 1'000'000'001;
  void* const pages = ::mmap(nullptr, kTooMany, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(pages != MAP_FAILED);
  {
    auto database = ledger::Database::open(made.folder() / "ledger.db", ledger::Database::Access::write).value();
    auto insert = database.prepare(ledger::kInsertRecord).value();
    const auto done = insert.bind(0, 0).bind(1, "line").bind(2, std::span(static_cast<const std::uint8_t*>(pages), kTooMany)).run();
    REQUIRE(!done.ok());
    CHECK(done.error().code == ErrorCode::io);
    CHECK(done.error().message.find("too large") != std::string::npos);
    const std::uint8_t small[] = {1, 2};
    CHECK(insert.bind(2, std::span<const std::uint8_t>(small)).run().ok());  // the failure is over
    auto select = database.prepare("SELECT count(*), sum(length(sealed)) FROM records").value();
    REQUIRE(select.step().value());
    CHECK(select.number(0) == 1);
    CHECK(select.number(1) == 2);
  }
  ::munmap(pages, kTooMany);
}

TEST_CASE("what makes no sense is refused with a reason", "[ledger]") {
  Made made;
  const auto fails = [&](auto change) {
    auto options = made.options();
    change(options);
    const auto opened = Ledger::open(made.folder(), options);
    REQUIRE(!opened.ok());
    return opened.error().code;
  };
  CHECK(fails([](auto& o) { o.key_id = "xyz"; }) == ErrorCode::usage);
  CHECK(fails([](auto& o) { o.model = ""; }) == ErrorCode::usage);
  CHECK(fails([](auto& o) { o.model = "caf\xc3\xa9"; }) == ErrorCode::usage);
  CHECK(fails([](auto& o) { o.config_digest = "00"; }) == ErrorCode::usage);
  CHECK(fails([](auto& o) { o.checkpoint_every = 0s; }) == ErrorCode::usage);
  CHECK(fails([](auto& o) { o.queue_bytes = 0; }) == ErrorCode::usage);
  CHECK(Ledger::open(made.folder() / "nothing", made.options()).error().code == ErrorCode::bad_input);
  CHECK(make_ledger(made.folder(), made.store(), "2026-11-25T12:00:00Z").error().code == ErrorCode::usage);

  Ledger ledger = made.open();
  CHECK(ledger.append(Issued(RequestId{}, "default", {})).error().code == ErrorCode::bad_input);
  CHECK(ledger.append(some_response(1, "No Name")).error().code == ErrorCode::bad_input);
  Issued far(RequestId{}, "default", std::vector<TokenId>{1u << 20});
  REQUIRE(far.add(1, RowStatus::issued, {}).ok());
  CHECK(ledger.append(std::move(far)).error().code == ErrorCode::bad_input);
  CHECK(ledger.wait(1, 1ms).error().code == ErrorCode::usage);
  CHECK(ledger.status().appended == 0);
  REQUIRE(ledger.close().ok());

  auto options = made.options();
  options.key_id = "";
  Ledger unmarked = Ledger::open(made.folder(), options).value();
  CHECK(unmarked.append(some_response(1)).error().code == ErrorCode::bad_input);
  CHECK(unmarked.append(some_response(1, "default", 3, RowStatus::unmarked)).ok());
}

TEST_CASE("the signing key must be closed to others and be the header's", "[ledger]") {
  Made made;
  const auto key = made.folder() / "log.key";
  std::filesystem::permissions(key, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  CHECK(Ledger::open(made.folder(), made.options()).error().code == ErrorCode::key);
  std::filesystem::permissions(key, std::filesystem::perms::others_read, std::filesystem::perm_options::remove);
  const Made other;
  std::filesystem::copy_file(other.folder() / "log.key", key, std::filesystem::copy_options::overwrite_existing);
  CHECK(Ledger::open(made.folder(), made.options()).error().code == ErrorCode::bad_input);
}

}  // namespace
}  // namespace heirmark
