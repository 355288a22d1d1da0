// What somebody with the database in hand could change, and that verify() says so.
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "base/files.hpp"
#include "crypto/sha256.hpp"
#include "made.hpp"

namespace heirmark {
namespace {
using namespace std::chrono_literals;

void change(const Made& made, const std::string& sql) {
  sqlite3* handle = nullptr;
  REQUIRE(sqlite3_open((made.folder() / "ledger.db").c_str(), &handle) == SQLITE_OK);
  char* message = nullptr;
  const int done = sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, &message);
  INFO(sql << ": " << (message == nullptr ? "" : message));
  CHECK(done == SQLITE_OK);
  CHECK(sqlite3_changes(handle) > 0);
  sqlite3_free(message);
  sqlite3_close(handle);
}

/// Ten responses: six of alice under a first checkpoint, four of bob under a second.
void fill(Made& made) {
  Ledger first = made.open();
  for (std::uint32_t i = 0; i < 6; ++i) REQUIRE(first.append(some_response(i, "alice")).ok());
  REQUIRE(first.close().ok());
  made.seconds += 7200;
  Ledger second = made.open();
  for (std::uint32_t i = 6; i < 10; ++i) REQUIRE(second.append(some_response(i, "bob")).ok());
  REQUIRE(second.close().ok());
}

bool has(const LedgerCheck& check, std::string_view words) {
  return std::any_of(check.problems.begin(), check.problems.end(), [&](const std::string& problem) { return problem.find(words) != std::string::npos; });
}

TEST_CASE("every change to a ledger's database is a problem that verify names", "[ledger]") {
  const std::pair<const char*, const char*> changes[] = {
      {"UPDATE records SET line = replace(line, '\"tokens\":5', '\"tokens\":4') WHERE seq = 3", "record 3"},
      {"UPDATE records SET line = replace(line, 'model-a', 'model-b') WHERE seq = 8", "root"},
      {"UPDATE records SET line = line || ' ' WHERE seq = 2", "record 2"},
      {"UPDATE records SET line = replace(line, '2026-11-25T12', '2026-11-25T22') WHERE seq = 1", "earlier"},
      {"DELETE FROM records WHERE seq = 9", "the tree that the ledger keeps"},
      {"DELETE FROM records WHERE seq = 4", "record 4 is missing"},
      {"UPDATE records SET sealed = NULL WHERE seq = 5", "record 5: its sealed part is missing"},
      {"UPDATE records SET sealed = NULL, purged = 7 WHERE seq = 5", "record 7: is no purge"},
      {"UPDATE records SET purged = 7 WHERE seq = 5", "record 5: is purged and still"},
      {"UPDATE records SET sealed = (SELECT sealed FROM records WHERE seq = 1) WHERE seq = 5", "record 5: the sealed part is not"},
      {"UPDATE records SET sealed = x'00' WHERE seq = 5", "record 5: the sealed part is not"},
      {"UPDATE checkpoints SET note = replace(note, '2026', '2025') WHERE size = 6", "checkpoint at 6"},
      {"UPDATE checkpoints SET size = 7 WHERE size = 6", "checkpoint at 7"},
      {"UPDATE tree SET peaks = zeroblob(length(peaks))", "the tree that the ledger keeps"},
      {"UPDATE tree SET time = '9999-12-31T23:59:59Z'", "the time that the ledger keeps"},
      {"INSERT INTO records (seq, line) VALUES (10, '{\"responses\":1,\"seq\":10,\"time\":\"2026-11-25T14:00:00Z\",\"type\":\"lost\"}' || char(10))", "the tree that the ledger keeps"},
  };
  for (const auto& [sql, words] : changes) {
    Made made;
    fill(made);
    REQUIRE(made.check().problems.empty());
    change(made, sql);
    for (const bool opened : {false, true}) {
      const LedgerCheck check = made.check(opened);
      INFO(sql);
      REQUIRE(!check.problems.empty());
      CHECK(has(check, words));
    }
  }
}

/// The table with the same values, and no type that SQLite would hold it to.
std::string loosened(const std::string& table, const std::string& columns) {
  return "CREATE TABLE loose (" + columns + "); INSERT INTO loose SELECT " + columns + " FROM " + table + "; DROP TABLE " + table + "; ALTER TABLE loose RENAME TO " + table + "; ";
}

TEST_CASE("rows and values that the tables may not have are problems, not errors of reading", "[ledger]") {
  const std::string tree = loosened("tree", "size, peaks, time"), records = loosened("records", "seq, line, sealed, purged"), sessions = loosened("sessions", "id, sealed"),
                    checkpoints = loosened("checkpoints", "size, note");
  const std::pair<std::string, const char*> changes[] = {
      {"DELETE FROM tree", "ledger.db: the table tree has no row"},
      {tree + "INSERT INTO tree SELECT * FROM tree", "ledger.db: the table tree has more than one row"},
      {tree + "UPDATE tree SET size = 'ten'", "ledger.db: the table tree: size is no INTEGER"},
      {tree + "UPDATE tree SET size = NULL", "ledger.db: the table tree: size is no INTEGER"},
      {tree + "UPDATE tree SET peaks = CAST(peaks AS TEXT)", "ledger.db: the table tree: peaks is no BLOB"},
      {tree + "UPDATE tree SET time = CAST(time AS BLOB)", "ledger.db: the table tree: time is no TEXT"},
      {"UPDATE tree SET peaks = zeroblob(63)", "ledger.db: the tree's peaks do not fit its size"},
      {"UPDATE tree SET size = -1", "ledger.db: the tree's peaks do not fit its size"},
      {"UPDATE tree SET time = 'zzz'", "ledger.db: the tree's time is no time"},
      {"UPDATE tree SET time = ''", "ledger.db: the tree's time is no time"},
      {"UPDATE tree SET size = 0, peaks = x''", "ledger.db: the tree has a time and no record"},
      {records + "UPDATE records SET line = CAST(line AS BLOB) WHERE seq = 3", "record 3: its line is no TEXT"},
      {records + "UPDATE records SET sealed = CAST(sealed AS TEXT) WHERE seq = 3", "record 3: its sealed part is no BLOB"},
      {records + "UPDATE records SET purged = '7' WHERE seq = 3", "record 3: purged is no INTEGER"},
      {records + "UPDATE records SET seq = 'four' WHERE seq = 4", "record 4 is missing"},
      {records + "INSERT INTO records SELECT * FROM records WHERE seq = 4", "record 5 is missing"},
      {sessions + "UPDATE sessions SET sealed = CAST(sealed AS TEXT) WHERE id = 1", "session 1: its key is no BLOB of 80 bytes"},
      {sessions + "UPDATE sessions SET id = 'one' WHERE id = 1", "a session's id is no INTEGER"},
      {sessions + "INSERT INTO sessions SELECT * FROM sessions WHERE id = 2", "session 2: is there twice"},
      {"UPDATE sessions SET sealed = zeroblob(79) WHERE id = 2", "session 2: its key is no BLOB of 80 bytes"},
      {"INSERT INTO sessions VALUES (9, x'')", "session 9: its key is no BLOB of 80 bytes"},
      {checkpoints + "UPDATE checkpoints SET note = CAST(note AS BLOB) WHERE size = 6", "checkpoint at 6: its note is no TEXT"},
      {checkpoints + "UPDATE checkpoints SET size = 'six' WHERE size = 6", "a checkpoint's size is no INTEGER"},
      {checkpoints + "INSERT INTO checkpoints SELECT * FROM checkpoints WHERE size = 6", "checkpoint at 6: is there twice"},
  };
  for (const auto& [sql, words] : changes) {
    Made made;
    fill(made);
    change(made, sql);
    INFO(sql);
    for (const bool opened : {false, true}) {
      const LedgerSecret key = made.secret();
      const auto check = LedgerReader::open(made.folder())->verify({opened ? &key : nullptr, {}, {}});
      INFO((check ? "" : check.error().message));
      CHECK((check.ok() && has(*check, words)));
      if (check.ok()) CHECK(check->summary.first == "2026-11-25T12:00:00Z");  // the records are looked at all the same
    }
  }
}

TEST_CASE("tables that leave their types open are a good ledger", "[ledger]") {
  Made made;
  fill(made);
  change(made, loosened("tree", "size, peaks, time") + loosened("records", "seq, line, sealed, purged") + loosened("sessions", "id, sealed") + loosened("checkpoints", "size, note"));
  CHECK(made.check().problems.empty());
  CHECK(made.check().opened == 10);
}

TEST_CASE("a tree that is none is an invalid ledger to its readers, and bad input to a server", "[ledger]") {
  Made made;
  fill(made);
  change(made, "DELETE FROM tree");
  CHECK(LedgerReader::open(made.folder())->size().error().code == ErrorCode::invalid_evidence);
  CHECK(purge_ledger(made.folder(), "2026-11-25T15:00:00Z", "2026-11-25T15:00:00Z", nullptr, {}).error().code == ErrorCode::invalid_evidence);
  const auto server = Ledger::open(made.folder(), made.options());
  REQUIRE(!server.ok());
  CHECK(server.error().code == ErrorCode::bad_input);
  CHECK(server.error().message.find("ledger.db: the table tree has no row") != std::string::npos);
}

TEST_CASE("a sealed part that was recorded and is none says so, and not that its session is missing", "[ledger]") {
  Made made;
  fill(made);
  const std::string digest = crypto::sha256_hex(std::string(47, '\0'));
  change(made, "UPDATE records SET sealed = zeroblob(47), line = substr(line, 1, instr(line, '\"sealedDigest\":\"') + 15) || '" + digest + "' || substr(line, instr(line, '\"sealedDigest\":\"') + 80) WHERE seq = 5");
  for (const bool opened : {false, true}) {
    const LedgerCheck check = made.check(opened);
    CHECK(has(check, "record 5: the sealed part is malformed: 47 bytes, and a session's id, a nonce and a tag are 48"));
    CHECK_FALSE(has(check, "session is missing"));
    CHECK(check.opened == (opened ? 9u : 0u));
  }
  change(made, "UPDATE sessions SET sealed = zeroblob(81) WHERE id = 1");
  const LedgerCheck check = made.check();
  CHECK(has(check, "session 1: its key is no BLOB of 80 bytes"));
  CHECK(has(check, "record 0: its session's key is malformed: its sealed part can never be opened"));
  CHECK_FALSE(has(check, "session is missing"));
}

TEST_CASE("records that were cut off with the tree made to fit are seen by the checkpoint", "[ledger]") {
  Made made;
  fill(made);
  change(made, "DELETE FROM records WHERE seq >= 6; UPDATE tree SET size = 6, peaks = zeroblob(64)");
  const LedgerCheck check = made.check();
  CHECK(std::any_of(check.problems.begin(), check.problems.end(), [](const std::string& problem) { return problem.find("a checkpoint covers 10 records") == 0; }));
}

TEST_CASE("a checkpoint that somebody kept shows a ledger that was made anew under the same log key", "[ledger]") {
  Made made;
  fill(made);
  const auto kept = LedgerReader::open(made.folder())->checkpoints().value();
  REQUIRE(kept.size() == 2);
  const std::vector<std::string> notes{kept[0].note, kept[1].note};
  CHECK(made.check(true, notes).problems.empty());
  // The server's own key and code write another history of the same length.
  change(made, "DELETE FROM records; DELETE FROM checkpoints; UPDATE tree SET size = 0, peaks = x'', time = ''");
  made.seconds -= 7200;
  Ledger server = made.open();
  for (std::uint32_t i = 0; i < 6; ++i) REQUIRE(server.append(some_response(i + 100, "alice")).ok());
  REQUIRE(server.close().ok());
  CHECK(made.check().problems.empty());
  const LedgerCheck check = made.check(true, notes);
  CHECK(has(check, "the published checkpoint of 6 records has another root"));
  CHECK(has(check, "a published checkpoint covers 10 records"));
  const std::vector<std::string> nonsense{"no note"};
  const auto refused = LedgerReader::open(made.folder())->verify({nullptr, nonsense, {}});
  REQUIRE(!refused.ok());
  CHECK(refused.error().code == ErrorCode::bad_input);
  CHECK(refused.error().message.find("published checkpoint 1: ") == 0);
}

TEST_CASE("a session's key that was changed is no error of reading: its records are problems", "[ledger]") {
  Made made;
  fill(made);
  change(made, "DELETE FROM sessions WHERE id = 1");
  const LedgerCheck check = made.check();
  CHECK(check.problems.size() == 6);
  CHECK(check.opened == 4);
  CHECK(made.check(false).problems.size() == 6);  // without the secret too
}

TEST_CASE("a session's key that was overwritten is a problem of each of its records, and hides no other", "[ledger]") {
  Made made;
  fill(made);
  change(made, "UPDATE sessions SET sealed = zeroblob(80) WHERE id = 1");
  change(made, "UPDATE records SET line = replace(line, 'model-a', 'model-b') WHERE seq = 8");
  const LedgerCheck check = made.check();
  CHECK(check.opened == 4);
  CHECK(has(check, "record 0: "));
  CHECK(has(check, "record 5: "));
  CHECK(has(check, "the tree that the ledger keeps"));
  // Of whom such a response is nobody can say: the account's others are purged, and it is told.
  const LedgerSecret secret = made.secret();
  const auto gone = purge_ledger(made.folder(), "2026-11-25T15:00:00Z", "2026-11-25T15:00:00Z", &secret, {"bob"});
  REQUIRE(!gone.ok());
  CHECK(gone.error().code == ErrorCode::invalid_evidence);
  CHECK(gone.error().message.find("4 responses are removed; of 6, the first record 0,") != std::string::npos);
  CHECK(made.check(false).summary.purged == 4);
}

TEST_CASE("a time that is none, kept with the tree, lets no server begin", "[ledger]") {
  Made made;
  fill(made);
  change(made, "UPDATE tree SET time = 'zzz'");
  const auto server = Ledger::open(made.folder(), made.options());
  REQUIRE(!server.ok());
  CHECK(server.error().code == ErrorCode::bad_input);
  CHECK(server.error().message.find("ledger.db") != std::string::npos);
}

TEST_CASE("a ledger.json or log.pem of somebody else's is a problem", "[ledger]") {
  Made made, other;
  fill(made);
  const auto text = [](const std::filesystem::path& file) { return files::read(file, 4096).value(); };
  const auto write = [](const std::filesystem::path& file, const std::string& bytes) { REQUIRE(files::write_atomic(file, bytes).ok()); };
  SECTION("sealKey, before a second session") {
    std::string header = text(made.folder() / "ledger.json");
    header.replace(header.find(made.info().seal_key), 64, other.info().seal_key);
    write(made.folder() / "ledger.json", header);
    Ledger server = made.open();
    REQUIRE(server.append(some_response(30, "alice")).ok());
    REQUIRE(server.close().ok());
    const LedgerCheck check = made.check();
    CHECK(has(check, "sealKey is not that of the ledger's secret"));
    CHECK(has(check, "record 10: "));
    CHECK(check.opened == 10);
  }
  SECTION("log.pem") {
    write(made.folder() / "log.pem", text(other.folder() / "log.pem"));
    CHECK(has(made.check(false), "log.pem: not the log key"));
  }
  SECTION("the log key: a checkpoint that was kept shows it, by the name of its file") {
    const auto kept = LedgerReader::open(made.folder())->checkpoints().value();
    std::string header = text(made.folder() / "ledger.json");
    header.replace(header.find(made.info().log_key), 64, other.info().log_key);
    write(made.folder() / "ledger.json", header);
    const std::vector<std::string> notes{kept[0].note}, names{"kept.note"};
    const auto check = LedgerReader::open(made.folder())->verify({nullptr, notes, {}, names});
    REQUIRE(check.ok());
    CHECK(has(*check, "kept.note: checkpoint: signed with another key"));
  }
}

TEST_CASE("another ledger's secret opens nothing and is an error of the key", "[ledger]") {
  Made made, other;
  fill(made);
  const LedgerSecret secret = other.secret();
  const auto reader = LedgerReader::open(made.folder()).value();
  const auto check = reader.verify({&secret, {}, {}});
  REQUIRE(!check.ok());
  CHECK(check.error().code == ErrorCode::key);
  CHECK(made.store().ledger_secret(other.info().id).error().code == ErrorCode::key);
}

TEST_CASE("a purge takes the sealed parts for good, leaves the digests and says what it did", "[ledger]") {
  Made made;
  fill(made);
  const auto before = made.check();
  const auto gone = purge_ledger(made.folder(), "2026-11-25T13:00:00Z", "2026-11-25T15:00:00Z", nullptr, {});
  REQUIRE(gone.ok());
  CHECK(*gone == 6);
  const LedgerCheck after = made.check();
  CHECK(after.problems.empty());
  CHECK(after.summary.purged == 6);
  CHECK(after.opened == 4);
  CHECK(after.summary.records == before.summary.records + 1);
  CHECK(after.checkpoints == 2);
  CHECK(*purge_ledger(made.folder(), "2026-11-25T13:00:00Z", "2026-11-25T15:00:00Z", nullptr, {}) == 0);
  CHECK(made.check().summary.records == after.summary.records);

  change(made, "UPDATE records SET sealed = NULL, purged = 10 WHERE seq = 7");
  const LedgerCheck more = made.check();
  REQUIRE(!more.problems.empty());
  CHECK(more.problems[0].find("record 10: removed") == 0);
}

TEST_CASE("a purge of one account leaves the others, also while a server writes", "[ledger]") {
  Made made;
  fill(made);
  made.seconds += 60;
  Ledger server = made.open();
  REQUIRE(server.wait(server.append(some_response(20, "alice")).value(), 10s).ok());
  const LedgerSecret secret = made.secret();
  CHECK(purge_ledger(made.folder(), "2026-11-25T15:00:00Z", "2026-11-25T15:00:00Z", nullptr, {"bob"}).error().code == ErrorCode::usage);
  const auto gone = purge_ledger(made.folder(), "2026-11-25T15:00:00Z", "2026-11-25T15:00:00Z", &secret, {"bob"});
  REQUIRE(gone.ok());
  CHECK(*gone == 4);
  REQUIRE(server.wait(server.append(some_response(21, "bob")).value(), 10s).ok());
  REQUIRE(server.close().ok());
  const LedgerCheck check = made.check();
  CHECK(check.problems.empty());
  CHECK(check.summary.purged == 4);
  CHECK(check.opened == 8);
  CHECK(check.summary.responses == 12);
  CHECK(check.covered == check.summary.records);
}

TEST_CASE("a purge leaves no sealed byte in the folder", "[ledger]") {
  Made made;
  fill(made);
  std::vector<std::string> sealed;
  {
    sqlite3* handle = nullptr;
    REQUIRE(sqlite3_open((made.folder() / "ledger.db").c_str(), &handle) == SQLITE_OK);
    sqlite3_stmt* statement = nullptr;
    REQUIRE(sqlite3_prepare_v2(handle, "SELECT sealed FROM records", -1, &statement, nullptr) == SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
      const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, 0));
      sealed.emplace_back(data + 40, data + 72);  // within a page, whatever the page's layout
    }
    sqlite3_finalize(statement);
    sqlite3_close(handle);
  }
  REQUIRE(sealed.size() == 10);
  const auto found = [&] {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(made.folder())) {
      std::FILE* file = std::fopen(entry.path().c_str(), "rb");
      std::string bytes(std::filesystem::file_size(entry.path()), '\0');
      bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
      std::fclose(file);
      for (const std::string& part : sealed) count += bytes.find(part) != std::string::npos ? 1 : 0;
    }
    return count;
  };
  CHECK(found() >= 8);
  REQUIRE(purge_ledger(made.folder(), "2026-11-25T15:00:00Z", "2026-11-25T15:00:00Z", nullptr, {}).value() == 10);
  CHECK(found() == 0);
}

TEST_CASE("times bound what is exported", "[ledger]") {
  Made made;
  fill(made);
  const auto reader = LedgerReader::open(made.folder()).value();
  const auto count = [&](std::string from, std::string until) {
    int responses = 0;
    LedgerReader::Filter filter;
    filter.from = std::move(from);
    filter.until = std::move(until);
    REQUIRE(reader.each_response(made.secret(), filter, [&](const LedgerRecord&, IssuedResponse&&) -> Result<void> { return ++responses, Result<void>(); }, {}).ok());
    return responses;
  };
  CHECK(count("", "") == 10);
  CHECK(count("2026-11-25T12:00:01Z", "") == 4);
  CHECK(count("", "2026-11-25T14:00:00Z") == 6);
  CHECK(count("", "2026-11-25T14:00:01Z") == 10);
  CHECK(count("2026-11-26T00:00:00Z", "") == 0);
  LedgerReader::Filter bad;
  bad.from = "yesterday";
  CHECK(reader.each_response(made.secret(), bad, [](const LedgerRecord&, IssuedResponse&&) { return Result<void>(); }, {}).error().code == ErrorCode::usage);
}

TEST_CASE("a server goes on writing while a purge waits for a reader", "[ledger]") {
  Made made;
  fill(made);
  made.seconds += 60;
  Ledger server = made.open();
  sqlite3* reader = nullptr;
  REQUIRE(sqlite3_open((made.folder() / "ledger.db").c_str(), &reader) == SQLITE_OK);
  REQUIRE(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM records", nullptr, nullptr, nullptr) == SQLITE_OK);
  std::atomic<bool> over = false;
  bool finished = true;  // Catch's assertions are the main thread's
  std::jthread purge([&] {
    finished = purge_ledger(made.folder(), "2026-11-25T14:00:00Z", "2026-11-25T15:00:00Z", nullptr, {}, 6s).ok();
    over = true;
  });
  // SQLite's own wait for the reader would keep the lock for all of the six seconds, three times as long as a server tries.
  std::uint32_t written = 0;
  std::string error;
  while (!over) {
    REQUIRE(server.wait(server.append(some_response(40 + written, "alice")).value(), 5s).ok());
    ++written;
    if (const std::string now = server.status().error; !now.empty()) error = now;
    std::this_thread::sleep_for(50ms);
  }
  purge.join();
  sqlite3_close(reader);
  CHECK_FALSE(finished);
  CHECK(error.empty());
  CHECK(written >= 5);
  REQUIRE(server.close().ok());
  CHECK(made.check().problems.empty());
}

TEST_CASE("a purge that a reader holds up says so, and the next one finishes it", "[ledger]") {
  Made made;
  fill(made);
  sqlite3* reader = nullptr;
  REQUIRE(sqlite3_open((made.folder() / "ledger.db").c_str(), &reader) == SQLITE_OK);
  REQUIRE(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM records", nullptr, nullptr, nullptr) == SQLITE_OK);
  const auto held = purge_ledger(made.folder(), "2026-11-25T15:00:00Z", "2026-11-25T15:00:00Z", nullptr, {}, std::chrono::milliseconds(200));
  REQUIRE(!held.ok());
  CHECK(held.error().code == ErrorCode::io);
  CHECK(held.error().message.find("10 responses are removed, but") != std::string::npos);
  sqlite3_close(reader);
  CHECK(purge_ledger(made.folder(), "2026-11-25T15:00:00Z", "2026-11-25T15:00:00Z", nullptr, {}).value() == 0);
  CHECK(made.check().problems.empty());
}

TEST_CASE("a purge cannot be made before what it takes, nor of what is to come", "[ledger]") {
  Made made;
  fill(made);
  REQUIRE(purge_ledger(made.folder(), "2026-11-25T13:00:00Z", "2026-11-25T15:00:00Z", nullptr, {}).value() == 6);
  change(made, "UPDATE records SET sealed = NULL, purged = 3 WHERE seq = 8");
  const LedgerCheck earlier = made.check();
  CHECK(std::any_of(earlier.problems.begin(), earlier.problems.end(), [](const std::string& problem) { return problem.find("record 8: is purged by a record that is not after it") == 0; }));
  change(made, "UPDATE records SET line = replace(line, '\"before\":\"2026', '\"before\":\"2999') WHERE seq = 10");
  const LedgerCheck to_come = made.check();
  CHECK(std::any_of(to_come.problems.begin(), to_come.problems.end(), [](const std::string& problem) { return problem.find("record 10: a purge of responses to come") == 0; }));
}

TEST_CASE("a view in the place of a table, or a trigger, is no ledger", "[ledger]") {
  Made view;
  change(view, "UPDATE tree SET time = ''; ALTER TABLE records RENAME TO kept; CREATE VIEW records AS SELECT * FROM kept");
  CHECK(LedgerReader::open(view.folder()).error().message.find("not the tables of a ledger") != std::string::npos);
  Made trigger;
  change(trigger, "UPDATE tree SET time = ''; CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM records; END");
  CHECK(LedgerReader::open(trigger.folder()).error().code == ErrorCode::bad_input);
  CHECK(Ledger::open(trigger.folder(), trigger.options()).error().code == ErrorCode::bad_input);
}

TEST_CASE("something else in the place of a ledger is refused", "[ledger]") {
  Made made;
  change(made, "PRAGMA user_version = 2; UPDATE tree SET time = ''");
  CHECK(LedgerReader::open(made.folder()).error().message.find("version 2") != std::string::npos);
  Made text;
  std::filesystem::resize_file(text.folder() / "ledger.db", 0);
  CHECK(LedgerReader::open(text.folder()).error().code == ErrorCode::bad_input);
  Made gone;
  std::filesystem::remove(gone.folder() / "ledger.db");
  CHECK(LedgerReader::open(gone.folder()).error().code == ErrorCode::bad_input);
  CHECK(Ledger::open(gone.folder(), gone.options()).error().code == ErrorCode::bad_input);
}

}  // namespace

TEST_CASE("a sample takes of each account the responses whose lines have the least digests", "[ledger]") {
  Made made;
  {
    Ledger ledger = made.open();
    for (std::uint32_t i = 0; i < 40; ++i) REQUIRE(ledger.append(some_response(i, i % 8 == 0 ? "rare" : i % 2 == 0 ? "some" : "many", 2, i == 7 ? RowStatus::unmarked : RowStatus::issued)).ok());
    REQUIRE(ledger.close().ok());
  }
  const auto reader = LedgerReader::open(made.folder()).value();
  const auto of_each = [](std::uint64_t sample) {
    LedgerReader::Filter filter;
    filter.sample = sample;
    return filter;
  };
  const auto taken = [&](const LedgerReader::Filter& filter) {
    std::vector<std::pair<std::string, std::uint64_t>> out;  // account, seq
    std::vector<double> shares;
    REQUIRE(reader.each_response(made.secret(), filter, [&](const LedgerRecord& record, IssuedResponse&& response) -> Result<void> { return out.emplace_back(response.account, record.seq), Result<void>(); },
                                 [&shares](double share) { return shares.push_back(share), true; }).ok());
    CHECK(std::is_sorted(shares.begin(), shares.end()));
    CHECK(shares.back() < 1);
    return out;
  };
  const auto all = taken({});
  REQUIRE(all.size() == 39);  // without the one of which the key chose nothing
  std::map<std::uint64_t, std::string> digests;
  REQUIRE(reader.each(0, 40, [&](const LedgerRecord& record) -> Result<void> { return digests[record.seq] = crypto::sha256_hex(record.line), Result<void>(); }).ok());
  for (const std::uint64_t sample : {1u, 3u, 5u, 14u, 100u}) {
    INFO(sample);
    std::map<std::string, std::vector<std::pair<std::string, std::uint64_t>>> by_account;
    for (const auto& [account, seq] : all) by_account[account].emplace_back(digests.at(seq), seq);
    std::set<std::uint64_t> expected;
    for (auto& [account, places] : by_account) {
      std::sort(places.begin(), places.end());
      for (std::size_t i = 0; i < std::min<std::size_t>(places.size(), sample); ++i) expected.insert(places[i].second);
    }
    std::vector<std::uint64_t> found;
    for (const auto& [account, seq] : taken(of_each(sample))) found.push_back(seq);
    CHECK(std::is_sorted(found.begin(), found.end()));
    CHECK(std::set<std::uint64_t>(found.begin(), found.end()) == expected);
    CHECK(found.size() == expected.size());
  }
  CHECK(taken(of_each(100)) == all);
  LedgerReader::Filter rare = of_each(2);
  rare.accounts = {"rare"};
  CHECK(taken(rare).size() == 2);
  CHECK(reader.each_response(made.secret(), of_each(1), [](const LedgerRecord&, IssuedResponse&&) { return Result<void>(); }, [](double share) { return share < 0.9; }).error().code == ErrorCode::stopped);
}

}  // namespace heirmark
