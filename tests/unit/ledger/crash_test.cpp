// A server that is killed at any instant: what it acknowledged is there, and everything that is there is whole.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "made.hpp"

namespace heirmark {
namespace {
using namespace std::chrono_literals;

/// Appends responses 0, 1, .. without end, and tells the seed of each that is on the disk.
[[noreturn]] void serve(const Made& made, Ledger::Options options, std::uint32_t first, int acknowledged) {
  auto opened = Ledger::open(made.folder(), options);
  if (!opened) ::_exit(3);
  Ledger ledger = *std::move(opened);
  for (std::uint32_t seed = first;; ++seed) {
    const auto ticket = ledger.append(some_response(seed, "default", 1 + seed % 40));
    if (!ticket) ::_exit(4);
    if (seed % 3 != 0) continue;  // batches of several sizes
    if (!ledger.wait(*ticket, 10s).ok()) ::_exit(5);
    if (::write(acknowledged, &seed, sizeof seed) != sizeof seed) ::_exit(6);
  }
}

TEST_CASE("a server killed at any instant loses nothing that it acknowledged, and tears nothing", "[ledger]") {
  Made made;
  std::mt19937 random(20261125);
  std::uint32_t next = 0;
  std::uint64_t acknowledged_in_all = 0;
  constexpr int kRounds = 25;
  for (int round = 0; round < kRounds; ++round) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    auto options = made.options();
    options.checkpoint_every = std::chrono::seconds(60);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::close(ends[0]);
      serve(made, options, next, ends[1]);
    }
    ::close(ends[1]);
    std::uint32_t last = 0;
    std::size_t got = 0;
    REQUIRE(::read(ends[0], &last, sizeof last) == sizeof last);  // it runs
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40'000));
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    for (std::uint32_t seed; ::read(ends[0], &seed, sizeof seed) == sizeof seed; ++got) last = seed;
    ::close(ends[0]);
    acknowledged_in_all += got + 1;
    made.seconds += 61;  // the next server finds a period without its checkpoint

    const LedgerCheck check = made.check();
    REQUIRE(check.problems.empty());
    REQUIRE(check.opened == check.summary.responses);
    REQUIRE(check.summary.responses >= last + 1);
    next = static_cast<std::uint32_t>(check.summary.responses);
  }
  // Seeds were appended in order and each child went on where the records ended: record i is response i.
  const auto reader = LedgerReader::open(made.folder()).value();
  std::uint32_t seed = 0;
  REQUIRE(reader.each_response(made.secret(), {}, [&](const LedgerRecord&, IssuedResponse&& response) -> Result<void> {
    REQUIRE(response.tokens.size() == 1 + seed % 40);
    REQUIRE(response.phat[0][0].token == seed % 100'000);
    ++seed;
    return {};
  }, {}).ok());
  CHECK(seed == next);
  CHECK(acknowledged_in_all >= kRounds);

  REQUIRE(made.open().close().ok());
  const LedgerCheck check = made.check();
  CHECK(check.problems.empty());
  CHECK(check.covered == check.summary.records);
}

TEST_CASE("a forked child cannot write into its parent's ledger, nor end it", "[ledger]") {
  Made made;
  Ledger ledger = made.open();
  REQUIRE(ledger.wait(ledger.append(some_response(0)).value(), 10s).ok());
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto ticket = ledger.append(some_response(1));
    const bool refused = !ticket && ticket.error().code == ErrorCode::usage;
    ::_exit(refused && ledger.close().ok() ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  REQUIRE(ledger.append(some_response(2)).ok());
  REQUIRE(ledger.close().ok());
  CHECK(made.check().opened == 2);
}

}  // namespace
}  // namespace heirmark
