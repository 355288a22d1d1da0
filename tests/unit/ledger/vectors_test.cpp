// specs/vectors/ledger.json, which an independent program wrote: put into a database as it stands, it is a good ledger.
#include <sqlite3.h>

#include "base/files.hpp"
#include "crypto/hex.hpp"
#include "json/value.hpp"
#include "ledger/packed.hpp"
#include "ledger/tree.hpp"
#include "made.hpp"

namespace heirmark {
namespace {
using json::Value;

const Value& vectors() {
  static const Value value = json::parse(files::read(HEIRMARK_SOURCE_DIR "/specs/vectors/ledger.json").value()).value();
  return value;
}
const std::string& text(const Value& value, const char* name) { return *value.find(name)->if_string(); }
std::int64_t number(const Value& value, const char* name) { return *value.find(name)->if_integer(); }
crypto::Bytes bytes(const Value& value, const char* name) { return crypto::hex_decode(text(value, name)).value(); }
Secret32 secret(const Value& value, const char* name) { return Secret32(std::span<const std::uint8_t, 32>(bytes(value, name).data(), 32)); }

void run(sqlite3* database, const std::string& sql) {
  INFO(sql.substr(0, 200));
  REQUIRE(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
}
std::string quoted(const std::string& value) {
  std::string out = "'";
  for (const char c : value) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

/// Makes the database by the page, not by our own code.
void fill(const std::filesystem::path& folder) {
  std::filesystem::remove(folder / "ledger.db");
  std::filesystem::remove(folder / "log.pem");  // of another log key
  REQUIRE(files::write_atomic(folder / "ledger.json", json::canonical(*vectors().find("header")) + "\n").ok());
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open((folder / "ledger.db").c_str(), &database) == SQLITE_OK);
  run(database, "PRAGMA journal_mode=WAL; PRAGMA application_id = 0x686d6c67; PRAGMA user_version = 1;"
                "CREATE TABLE records (seq INTEGER PRIMARY KEY, line TEXT, sealed BLOB, purged INTEGER);"
                "CREATE TABLE sessions (id INTEGER PRIMARY KEY, sealed BLOB); CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT);"
                "CREATE TABLE tree (size INTEGER, peaks BLOB, time TEXT)");
  for (const Value& session : *vectors().find("sessions")->if_array())
    run(database, "INSERT INTO sessions VALUES (" + std::to_string(number(session, "id")) + ", x'" + text(session, "sealed") + "')");
  for (const Value& checkpoint : *vectors().find("checkpoints")->if_array())
    run(database, "INSERT INTO checkpoints VALUES (" + std::to_string(number(checkpoint, "size")) + ", " + quoted(text(checkpoint, "note")) + ")");
  std::int64_t seq = 0;
  const auto& records = *vectors().find("records")->if_array();
  for (const Value& record : records) {
    const bool purged = record.find("purged") != nullptr;
    run(database, "INSERT INTO records VALUES (" + std::to_string(seq++) + ", " + quoted(text(record, "line")) + ", " +
                      (purged || record.find("sealed") == nullptr ? "NULL" : "x'" + text(record, "sealed") + "'") + ", " + (purged ? std::to_string(number(record, "purged")) : "NULL") + ")");
  }
  run(database, "INSERT INTO tree VALUES (" + std::to_string(seq) + ", x'" + text(records.back(), "peaks") + "', '2026-11-25T15:30:00Z')");
  sqlite3_close(database);
}

TEST_CASE("the ledger of the vectors verifies, and its responses are those that the vectors say", "[ledger]") {
  const Made made;
  fill(made.folder());
  const LedgerSecret key{secret(vectors(), "sealSecret")};
  const auto reader = LedgerReader::open(made.folder());
  REQUIRE(reader.ok());
  std::vector<std::string> published;
  for (const Value& checkpoint : *vectors().find("checkpoints")->if_array()) published.push_back(text(checkpoint, "note"));
  const auto check = reader->verify({&key, published, {}});
  REQUIRE(check.ok());
  for (const std::string& problem : check->problems) UNSCOPED_INFO(problem);
  REQUIRE(check->problems.empty());
  CHECK(check->opened == 2);
  CHECK(check->summary.purged == 1);
  CHECK(check->summary.lost == 3);
  CHECK(check->covered == 5);
  CHECK(check->root == text(vectors().find("records")->if_array()->back(), "root"));

  LedgerReader::Filter filter;
  filter.unmarked = true;
  std::size_t responses = 0;
  REQUIRE(reader->each_response(key, filter, [&](const LedgerRecord& record, IssuedResponse&& response) -> Result<void> {
    ++responses;
    const Value& said = *(*vectors().find("records")->if_array())[record.seq].find("response");
    CHECK(response.account == text(said, "account"));
    CHECK(crypto::hex_encode(response.request_id.bytes) == text(said, "requestId"));
    const auto& positions = *said.find("positions")->if_array();
    REQUIRE(response.tokens.size() == positions.size());
    for (std::size_t t = 0; t < positions.size(); ++t) {
      const auto& position = *positions[t].if_array();
      CHECK(response.tokens[t] == *position[0].if_integer());
      const auto& likeliest = *position[2].if_array();
      REQUIRE(response.phat[t].size() == std::max<std::size_t>(1, likeliest.size()));
      for (std::size_t i = 0; i < likeliest.size(); ++i) {
        CHECK(response.phat[t][i].token == *(*likeliest[i].if_array())[0].if_integer());
        CHECK(response.phat[t][i].p == *(*likeliest[i].if_array())[1].if_integer());
      }
    }
    return {};
  }, {}).ok());
  CHECK(responses == 2);
}

TEST_CASE("trees and sealed plaintexts are those of the vectors", "[ledger]") {
  ledger::Tree tree;
  int plaintexts = 0;
  for (const Value& record : *vectors().find("records")->if_array()) {
    tree.add(text(record, "line"));
    CHECK(crypto::hex_encode(tree.root()) == text(record, "root"));
    CHECK(crypto::hex_encode(crypto::bytes_of(tree.bytes())) == text(record, "peaks"));
    const Value* response = record.find("response");
    if (response == nullptr) continue;
    ++plaintexts;
    const auto opened = ledger::unpack(bytes(*response, "plaintext"));
    REQUIRE(opened.ok());
    CHECK(ledger::pack(secret(*response, "salt"), opened->packed) == bytes(*response, "plaintext"));
  }
  CHECK(plaintexts == 3);
}

}  // namespace
}  // namespace heirmark
