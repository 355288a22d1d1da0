// Replies of time-stamping authorities: right ones, and each thing that can be wrong with one.
#include "crypto/timestamp.hpp"

#include <catch2/catch.hpp>

#include "base/files.hpp"
#include "crypto/base64.hpp"
#include "crypto/sha256.hpp"
#include "json/value.hpp"
#include "authority.hpp"

using namespace heirmark;
using authority::Authority;
using authority::Reply;
using crypto::bytes_of;

namespace {
const std::string kMessage = "a statement";
std::string request(std::string_view message = kMessage) {
  const auto bytes = crypto::stamp_request(bytes_of(message)).value();
  return {bytes.begin(), bytes.end()};
}
Result<crypto::StampReply> parse(std::string_view reply) { return crypto::StampReply::parse(bytes_of(reply)); }
std::string time_of(const Authority& from, const Reply& reply) {
  const auto parsed = parse(from.answer(request(), reply));
  return parsed ? parsed->stamp().time : "error: " + parsed.error().message;
}
}  // namespace

TEST_CASE("a stamp says what was stamped, by whom, and no later than when") {
  const Authority from;
  const std::string asked = request();
  const auto reply = parse(from.answer(asked, {.time = "20261101120000Z"}));
  REQUIRE(reply.ok());
  CHECK(reply->stamp().time == "2026-11-01T12:00:00Z");
  CHECK(reply->stamp().authority == "CN=Test Authority");
  CHECK(reply->stamp().right_hash);
  const auto digest = crypto::sha256(kMessage);
  CHECK(reply->stamp().imprint == crypto::Bytes(digest.begin(), digest.end()));
  CHECK(reply->verify().ok());
  CHECK(reply->answers(bytes_of(asked)).ok());
  // Two requests differ in the nonce alone.
  CHECK(!reply->answers(bytes_of(request())).ok());
  CHECK(!reply->answers(bytes_of(request("another statement"))).ok());
  CHECK(reply->answers(bytes_of("no request")).error().code == ErrorCode::bad_input);
  CHECK(!parse(from.answer(asked, {.time = "20261101120000Z", .nonce = false}))->answers(bytes_of(asked)).ok());
}

TEST_CASE("fractions and accuracy make a stamp later, up to a whole second") {
  const Authority from;
  CHECK(time_of(from, {.time = "20261101120000.000001Z"}) == "2026-11-01T12:00:01Z");
  CHECK(time_of(from, {.time = "20261101120000.0000000001Z"}) == "2026-11-01T12:00:01Z");
  CHECK(time_of(from, {.time = "20261101120000.000Z"}) == "2026-11-01T12:00:00Z");
  CHECK(time_of(from, {.time = "20261101120000.5Z", .millis = 500}) == "2026-11-01T12:00:01Z");
  CHECK(time_of(from, {.time = "20261101120000.5Z", .millis = 500, .micros = 1}) == "2026-11-01T12:00:02Z");
  CHECK(time_of(from, {.time = "20261231235959Z", .seconds = 1}) == "2027-01-01T00:00:00Z");
  CHECK(time_of(from, {.time = "20261101120000Z", .seconds = 86400}) == "2026-11-02T12:00:00Z");
  for (const char* wrong : {"20261101120000", "20261101120000+0100", "202611011200Z", "20261301120000Z", "20261101126000Z", "20261101120000.Z", "20261101120000,5Z", "2026110112000aZ", "Z"}) {
    INFO(wrong);
    CHECK(time_of(from, {.time = wrong}).starts_with("error: its time"));
  }
  CHECK(time_of(from, {.time = "99991231235959Z", .seconds = 2}).starts_with("error: its time"));
  CHECK(time_of(from, {.time = "20261101120000Z", .seconds = 86401}).starts_with("error: its accuracy"));
  CHECK(time_of(from, {.time = "20261101120000Z", .seconds = -1}).starts_with("error: its accuracy"));
  CHECK(time_of(from, {.time = "20261101120000Z", .millis = 1000}).starts_with("error: its accuracy"));
}

TEST_CASE("a refusal, another version, and a token without its certificate are no stamps") {
  const Authority from;
  CHECK(time_of(from, {.time = "20261101120000Z", .status = 2}) == "error: the authority did not grant a time stamp");
  CHECK(time_of(from, {.time = "", .status = 2, .words = "unknown policy\n"}) == "error: the authority did not grant a time stamp: unknown policy?");
  CHECK(time_of(from, {.time = "20261101120000Z", .status = 1}) == "2026-11-01T12:00:00Z");  // granted with modifications
  CHECK(time_of(from, {.time = "20261101120000Z", .version = 2}).starts_with("error: a time stamp of another version"));
  CHECK(time_of(from, {.time = "20261101120000Z", .certificates = false}).starts_with("error: it does not carry"));
  CHECK(!parse(from.answer(request(), {.time = "20261101120000Z", .hash = "SHA512-256"}))->stamp().right_hash);
}

TEST_CASE("a chain to a trusted certificate has to be valid at the time of the stamp") {
  const Authority from({.name = "One", .from = 1'767'225'600, .until = 1'798'761'600}), other({.name = "One"}), third({.name = "Three"});  // 2026
  const auto reply = parse(from.answer(request(), {.time = "20261101120000Z"}));
  REQUIRE(reply.ok());
  const auto trusted = [&](const std::string& pem) { return reply->verify(crypto::Certificates::from_pem(pem).value()).ok(); };
  CHECK(trusted(from.root_pem()));
  CHECK(trusted("two roots\n" + third.root_pem() + from.root_pem()));
  CHECK(trusted(from.own_pem()));        // whoever trusts the issuing certificate itself may
  CHECK(!trusted(other.root_pem()));     // of the same name, with another key
  CHECK(!trusted(other.own_pem()));
  for (const char* time : {"20251231235959Z", "20270101000001Z"}) {
    INFO(time);
    const auto outside = parse(from.answer(request(), {.time = time}));
    REQUIRE(outside.ok());
    CHECK(!outside->verify().ok());
    CHECK(!outside->verify(crypto::Certificates::from_pem(from.root_pem()).value()).ok());
  }
}

TEST_CASE("a certificate for other uses, or with a weak key, stamps nothing") {
  for (const char* usage : {static_cast<const char*>(nullptr), "timeStamping", "critical,timeStamping,codeSigning", "critical,codeSigning"}) {
    INFO((usage == nullptr ? "none" : usage));
    const Authority from({.usage = usage});
    const auto reply = parse(from.answer(request(), {.time = "20261101120000Z"}));
    REQUIRE(reply.ok());
    CHECK(reply->verify().error().code == ErrorCode::invalid_evidence);
    CHECK(!reply->verify(crypto::Certificates::from_pem(from.root_pem()).value()).ok());
    CHECK(!reply->verify(crypto::Certificates::from_pem(from.own_pem()).value()).ok());
  }
  const Authority weak({.rsa_bits = 1024}), strong({.rsa_bits = 2048});
  CHECK(!parse(weak.answer(request(), {.time = "20261101120000Z"}))->verify().ok());
  CHECK(parse(strong.answer(request(), {.time = "20261101120000Z"}))->verify().ok());
}

TEST_CASE("no byte of a reply can be changed") {
  const Authority from;
  const std::string good = from.answer(request(), {.time = "20261101120000Z", .seconds = 1});
  const auto first = parse(good);
  REQUIRE(first.ok());
  REQUIRE(first->verify().ok());
  const auto root = crypto::Certificates::from_pem(from.root_pem()).value();
  std::size_t parsed = 0, accepted = 0;
  for (std::size_t at = 0; at < good.size(); ++at)
    for (const int bit : {0x01, 0x80}) {
      std::string changed = good;
      changed[at] = static_cast<char>(changed[at] ^ bit);
      const auto reply = parse(changed);
      if (!reply) continue;
      ++parsed;
      if (!reply->verify(root)) continue;
      // What is not signed may differ (the status' "granted with modifications", parameters that are absent); what it says must not.
      ++accepted;
      CHECK(reply->stamp().time == first->stamp().time);
      CHECK(reply->stamp().imprint == first->stamp().imprint);
      CHECK(reply->stamp().authority == first->stamp().authority);
    }
  CHECK(parsed > 500);
  CHECK(accepted < 40);
  for (const std::string& wrong : {std::string(), good.substr(0, good.size() - 1), good + "x", good.substr(1), std::string(good.size(), '0'), std::string((1 << 20) + 1, '\x30')})
    CHECK(parse(wrong).error().code == ErrorCode::bad_input);
}

TEST_CASE("certificates in PEM: one or more, each whole") {
  const Authority from;
  CHECK(crypto::Certificates::from_pem(from.root_pem() + "text\n" + from.own_pem())->all().size() == 2);
  const std::string pem = from.root_pem();
  for (const std::string& wrong : {std::string(), std::string("no certificate"), pem.substr(0, pem.size() / 2), pem + pem.substr(0, pem.size() / 2),
                                  pem + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "-----BEGIN TRUSTED " + pem.substr(11, pem.size() - 37) + "-----END TRUSTED CERTIFICATE-----\n"}) CHECK(!crypto::Certificates::from_pem(wrong).ok());
}

TEST_CASE("a hundred replies that were made by hand are judged as they should be") {
  const auto file = files::read(std::filesystem::path(HEIRMARK_SOURCE_DIR) / "tests/support/replies.json", 1 << 20).value();
  const auto document = json::parse(file).value();
  const auto text = [](const json::Value& value) { return *value.if_string(); };
  const auto message = crypto::sha256(text(*document.find("message")));
  const auto root = crypto::Certificates::from_pem(text(*document.find("root"))).value();
  std::size_t good = 0, broken = 0, formless = 0;
  for (const json::Value& one : *document.find("replies")->if_array()) {
    INFO(text(*one.find("name")));
    const auto bytes = crypto::base64_decode(text(*one.find("reply"))).value();
    const auto reply = crypto::StampReply::parse(bytes);
    const bool form = *one.find("form")->if_bool();
    INFO((reply ? std::string() : reply.error().message));
    REQUIRE(reply.ok() == form);
    if (!form) {
      CHECK(reply.error().code == ErrorCode::bad_input);
      ++formless;
      continue;
    }
    CHECK(reply->stamp().time == text(*one.find("time")));
    CHECK(reply->verify().ok() == *one.find("signature")->if_bool());
    CHECK(reply->verify(root).ok() == *one.find("vouched")->if_bool());
    good += reply->verify(root).ok();
    broken += !reply->verify().ok();
    if (text(*one.find("name")) == "00good") CHECK(std::equal(message.begin(), message.end(), reply->stamp().imprint.begin(), reply->stamp().imprint.end()));
  }
  CHECK(good == 22);
  CHECK(broken == 34);
  CHECK(formless == 36);
}
