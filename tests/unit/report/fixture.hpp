// A bag made by hand: the files of data/ that a report reads, with numbers that fit each other. Two cases, guilty and
// twin; a third whose controls show the signal as well.
#pragma once
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace fixture {

namespace fs = std::filesystem;

// JSON text. Members are sorted by the map; strings are escaped as JCS says.
inline std::string text(const std::string& value) {
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char spelled[8];
      std::snprintf(spelled, sizeof spelled, "\\u%04x", static_cast<unsigned>(c));
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : spelled;
    } else {
      out += c;
    }
  }
  return out + "\"";
}
inline std::string number(std::uint64_t value) { return std::to_string(value); }
using Members = std::map<std::string, std::string>;
inline std::string object(const Members& members) {
  std::string out = "{";
  for (const auto& [name, value] : members) out += (out.size() > 1 ? "," : "") + ("\"" + name + "\":" + value);
  return out + "}";
}
inline std::string list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) out += (out.size() > 1 ? "," : "") + item;
  return out + "]";
}
inline std::string decimal(double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.4f", value);
  return std::string(buffer) == "-0.0000" ? "0.0000" : buffer;
}
/// 64 hex digits that look like a digest: a different one for each name.
inline std::string digest(const std::string& name) {
  std::uint64_t state = 0x9E3779B97F4A7C15ull;
  for (const char c : name) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  std::string out;
  for (int i = 0; i < 64; ++i) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    out += "0123456789abcdef"[state >> 60];
  }
  return out;
}
inline std::string base64(const std::string& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j)
      bits = (bits << 8) | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) out += j <= bytes.size() - i ? kDigits[(bits >> (18 - 6 * j)) & 63] : '=';
  }
  return out;
}

enum class Kind { guilty, twin, controls_too };

/// What a test wants to change before the files are written.
struct Texts {
  std::string suspect = "student-b-7b-instruct", hello = "student-b-7b-instruct";
  std::string purpose = "forensic audit of suspected training on outputs";
  std::string h1 = "The training of the suspect was influenced by text that was made under key K.";
  std::string h2 = "The training of the suspect was not influenced by text that was made under key K.";
  std::string released = "2026-09-30";
  std::string first_account = "reseller-17";
  std::uint64_t attempt = 1, multiplicity = 2;
  bool signed_by_all = true;
  bool text_only = false;  ///< channel c1 alone: no ledger
  bool decoys = true;
  bool far = false;  ///< the committed key stands very far from the decoys
  std::string count_rule = "distinct", scheme = "gumbel";
};

class Bag {
 public:
  explicit Bag(Kind kind, Texts texts = {}) : kind_(kind), texts_(std::move(texts)) {
    static int count = 0;
    folder_ =
        fs::temp_directory_path() / ("heirmark-report-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
    write();
  }
  ~Bag() {
    std::error_code code;
    fs::remove_all(folder_, code);
  }
  Bag(const Bag&) = delete;
  Bag& operator=(const Bag&) = delete;

  [[nodiscard]] const fs::path& folder() const { return folder_; }
  [[nodiscard]] fs::path file(const std::string& name) const { return folder_ / "data" / name; }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream in(file(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put(const std::string& name, const std::string& bytes) const {
    fs::create_directories(file(name).parent_path());
    std::ofstream(file(name), std::ios::binary) << bytes;
  }
  /// Replaces the first `from` in a file; false when it is not there.
  [[nodiscard]] bool replace(const std::string& name, const std::string& from, const std::string& to) const {
    std::string bytes = read(name);
    const std::size_t at = bytes.find(from);
    if (at == std::string::npos) return false;
    put(name, bytes.replace(at, from.size(), to));
    return true;
  }

 private:
  [[nodiscard]] bool strong() const { return kind_ != Kind::twin; }

  std::string growth(std::uint64_t n, double log10_p, double log10_e, bool text_channel) const {
    std::vector<std::string> steps;
    for (int i = 1; i <= 64; ++i) {
      const double share = i / 64.0, wave = 0.25 * std::sin(i * 0.9) * (1 - share);
      const double p =
          text_channel ? log10_p * std::pow(share, 1.1) + wave : std::min(0.0, -(log10_e * share + wave * 2));
      const double e = i == 64 ? log10_e
                               : log10_e * std::pow(share, text_channel ? 1.15 : 1.0) + wave * 2 -
                                     (strong() ? 0.3 * (1 - share) : 0);
      steps.push_back(object({{"n", number(n * static_cast<std::uint64_t>(i) / 64)},
                              {"log10_p", text(decimal(std::min(0.0, i == 64 ? log10_p : p)))},
                              {"log10_e", text(decimal(e))}}));
    }
    return list(steps);
  }

  std::string histogram(double decoy_mean, double decoy_deviation, double live, std::uint64_t decoys) const {
    const double low = std::min(decoy_mean - 3.6 * decoy_deviation, live),
                 high = std::max(decoy_mean + 3.6 * decoy_deviation, live);
    const double width = std::floor((high - low) / 64) + 1;
    std::vector<double> share(64);
    for (std::size_t i = 0; i < 64; ++i) {
      const auto below = [&](double x) {
        return x <= decoy_mean - 3.6 * decoy_deviation ? 0.0
               : x >= decoy_mean + 3.6 * decoy_deviation
                   ? 1.0
                   : 0.5 * std::erfc((decoy_mean - x) / decoy_deviation / std::sqrt(2.0));
      };
      share[i] = below(low + width * static_cast<double>(i + 1)) - below(low + width * static_cast<double>(i));
    }
    std::vector<std::uint64_t> counts(64);
    for (std::size_t i = 0; i < 64; ++i)
      counts[i] = static_cast<std::uint64_t>(std::llround(share[i] * static_cast<double>(decoys)));
    std::vector<std::string> items;
    for (const std::uint64_t count : counts) items.push_back(number(count));
    const auto whole = [](double x) { return std::to_string(static_cast<std::int64_t>(x)); };
    return object({{"low", text(whole(low))},
                   {"width", text(whole(width))},
                   {"live", text(whole(live))},
                   {"counts", list(items)}});
  }

  std::string verdict() const {
    constexpr double kUnit = 16777216.0;
    constexpr std::uint64_t kPairs = 18231, kContexts = 21402;
    const double c1_prf = strong() ? -9.4127 : -0.2719, c1_rank = strong() ? -7.9031 : -0.4402,
                 c1_p = texts_.decoys ? std::max(c1_prf, c1_rank) : c1_prf, c1_e = strong() ? 7.1184 : -0.8127;
    const double c2_e = strong() ? 12.4410 : -0.3105, c3_e = strong() ? 41.3377 : -0.4218;
    const double live = (kPairs + (texts_.far ? 60.0
                                   : strong() ? 5.8
                                              : 0.6) *
                                      std::sqrt(static_cast<double>(kPairs))) *
                        kUnit;
    std::vector<std::string> classes;
    for (std::uint64_t c = 0; c < 16; ++c)
      classes.push_back(object(
          {{"class", number(c)},
           {"pairs", number(kPairs / 16 + (c * 37) % 61)},
           {"ge", number(strong() ? (c * c * 7) % 23 * ((c % 3) + 1) * 9 : 500 + (c * 877) % 3000)},
           {"statistic",
            text(std::to_string(static_cast<std::int64_t>(live / 16) + static_cast<std::int64_t>(c) * 1000003))}}));
    const auto accounts = [&](double top) {
      std::vector<std::string> rows;
      std::vector<std::pair<std::string, double>> entries{
          {texts_.first_account, top}, {"acct-0412", top * 0.31}, {"acct-0077", strong() ? 6.4 : -0.1}};
      for (int i = 0; i < 9; ++i)
        entries.push_back({"acct-1" + std::to_string(100 + i * 13), -0.05 - 0.11 * ((i * 5) % 9)});
      const double threshold = std::log10(static_cast<double>(entries.size())) + 6;
      const std::map<std::string, double> sorted(entries.begin(), entries.end());
      for (const auto& [name, e] : sorted)
        rows.push_back(object({{"account", text(name)},
                               {"responses", number(8 + name.size() * 7 % 40)},
                               {"log10_e", text(decimal(e))},
                               {"named", e >= threshold ? "true" : "false"}}));
      return list(rows);
    };
    const auto issued = [&](const std::string& channel, std::uint64_t weight, double e, double top) {
      return Members{{"channel", text(channel)},
                     {"weight", number(weight)},
                     {"n", number(kContexts)},
                     {"log10_p", text(decimal(std::min(0.0, -e)))},
                     {"log10_e", text(decimal(e))},
                     {"responses", number(288)},
                     {"issuance", number(14230)},
                     {"window", number(kContexts - 14230)},
                     {"tainted", number(211)},
                     {"accounts", accounts(top)},
                     {"growth", growth(kContexts, std::min(0.0, -e), e, false)}};
    };
    Members c3 = issued("c3", 700000, c3_e, strong() ? 38.4 : -0.12);
    c3["alpha"] = text("0.981204");
    c3["beta"] = text("0.000000");
    const std::string c1 =
        object({{"channel", text("c1")},
                {"weight", number(texts_.text_only ? 1000000 : 200000)},
                {"n", number(kPairs)},
                {"log10_p", text(decimal(c1_p))},
                {"log10_e", text(decimal(c1_e))},
                {"statistic", text(std::to_string(static_cast<std::int64_t>(live)))},
                {"positions", number(63870)},
                {"repeats", number(9120)},
                {"tainted", number(4377)},
                {"off_coin", number(32142)},
                {"scheme", text(texts_.scheme)},
                {"countRule", text(texts_.count_rule)},
                {"log10_p_prf", text(decimal(c1_prf))},
                {"log10_p_saddlepoint", text(texts_.count_rule == "distinct" ? "" : decimal(c1_prf - 0.31))},
                {"log10_p_rank", text(texts_.decoys ? decimal(c1_rank) : "")},
                {"decoys", number(texts_.decoys ? 4095 : 0)},
                {"classes", texts_.decoys ? list(classes) : "[]"},
                {"histogram",
                 texts_.decoys ? histogram(kPairs * kUnit, std::sqrt(static_cast<double>(kPairs)) * kUnit, live, 4095)
                               : object({{"low", text("0")},
                                         {"width", text("1")},
                                         {"live", text(std::to_string(static_cast<std::int64_t>(live)))},
                                         {"counts", "[]"}})},
                {"growth", growth(kPairs, c1_prf, c1_e, true)}});
    const double m = std::log10(static_cast<double>(texts_.multiplicity));
    const double p = texts_.text_only
                         ? std::min(0.0, c1_p + m)
                         : std::min(0.0, std::min({c1_p - std::log10(0.2), std::min(0.0, -c2_e) - std::log10(0.1),
                                                   std::min(0.0, -c3_e) - std::log10(0.7)}) +
                                             m);
    const double e =
        texts_.text_only
            ? c1_e - m
            : std::log10(0.2 * std::pow(10.0, c1_e) + 0.1 * std::pow(10.0, c2_e) + 0.7 * std::pow(10.0, c3_e)) - m;
    std::vector<std::string> controls;
    for (int i = 1; i <= 4; ++i) {
      const bool loud = kind_ == Kind::controls_too && i == 2;
      controls.push_back(object({{"name", text("control-" + std::to_string(i))},
                                 {"log10_p", text(decimal(loud ? -11.2 : -0.07 * i * i + 0.07))},
                                 {"log10_e", text(decimal(loud ? 10.1 : -0.9 + 0.13 * i))}}));
    }
    return object({{"type", text("heirmark/verdict/v1")},
                   {"date", text("2026-11-24T16:40:12Z")},
                   {"plan", text(digest("plan"))},
                   {"transcript", text(digest("transcript"))},
                   {"opening", text(digest("opening"))},
                   {"commitment", text(digest("commitment"))},
                   {"ledger", text(ledger())},
                   {"suspect", text(digest("suspect"))},
                   {"outcome", text(kind_ == Kind::guilty ? "supports"
                                    : kind_ == Kind::twin ? "inconclusive"
                                                          : "does-not-support")},
                   {"log10_p", text(decimal(p))},
                   {"log10_e", text(decimal(e))},
                   {"alpha", text("0.000001")},
                   {"multiplicity", number(texts_.multiplicity)},
                   {"method", text("heirmark-statistics-v1")},
                   {"channels", texts_.text_only ? list({c1})
                                                 : list({c1, object(issued("c2", 100000, c2_e, strong() ? 11.2 : -0.2)),
                                                         object(c3)})},
                   {"controls", list(controls)}}) +
           "\n";
  }

  void statement(const std::string& name, const std::string& file_name, const std::string& role,
                 const std::string& date, Members predicate) const {
    predicate["date"] = text(date);
    predicate["signer"] = text(role);
    const std::string payload =
        object({{"_type", text("https://in-toto.io/Statement/v1")},
                {"predicateType", text("https://heirmark.dev/" + name + "/v1")},
                {"predicate", object(predicate)},
                {"subject",
                 list({object({{"name", text(file_name)}, {"digest", object({{"sha256", text(digest(name))}})}})})}}) +
        "\n";
    put("statements/" + name + ".dsse.json",
        object({{"payload", text(base64(payload))},
                {"payloadType", text("application/vnd.in-toto+json")},
                {"signatures", list({object({{"keyid", text(digest(role))},
                                             {"sig", text(base64(digest(name + " signature")))}})})}}) +
            "\n");
  }

  [[nodiscard]] std::string ledger() const { return texts_.text_only ? "" : digest("ledger"); }
  [[nodiscard]] std::string planned_c1(std::uint64_t weight) const {
    return object({{"channel", text("c1")},
                   {"weight", number(weight)},
                   {"texts", number(500)},
                   {"tokensPerText", number(128)},
                   {"countRule", text(texts_.count_rule)},
                   {"decoys", number(texts_.decoys ? 4095 : 0)},
                   {"temperatureMilli", number(1000)}});
  }

  void write() const {
    put("plan.json",
        object({{"type", text("heirmark/plan/v1")},
                {"planId", text("5b1e07c2a94d3f68")},
                {"attempt", number(texts_.attempt)},
                {"date", text("2026-11-20T09:12:44Z")},
                {"commitment", text(digest("commitment"))},
                {"opening", text(digest("opening"))},
                {"keyId", text("d1c4a2907e5b3f16")},
                {"path", text("acme-70b/2026-03")},
                {"profile", text("standard-2026-11")},
                {"familySize", number(1048576)},
                {"ledger", text(ledger())},
                {"ledgerResponses", number(texts_.text_only ? 0 : 320)},
                {"suspect", text(digest("suspect"))},
                {"prompts", text(digest("prompts"))},
                {"alpha", text("0.000001")},
                {"multiplicity", number(texts_.multiplicity)},
                {"h1", text(texts_.h1)},
                {"h2", text(texts_.h2)},
                {"channels",
                 texts_.text_only
                     ? list({planned_c1(1000000)})
                     : list({planned_c1(200000),
                             object({{"channel", text("c2")}, {"weight", number(100000)}, {"samples", number(4)}}),
                             object({{"channel", text("c3")}, {"weight", number(700000)}, {"top", number(16)}})})},
                {"fitResponses", number(texts_.text_only ? 0 : 32)},
                {"controls", number(4)},
                {"stop", text("fixed")}}) +
            "\n");
    put("commitment.json", object({{"type", text("heirmark/commitment/v1")},
                                   {"path", text("acme-70b/2026-03")},
                                   {"keyId", text("d1c4a2907e5b3f16")},
                                   {"familySize", number(1048576)},
                                   {"profile", text("standard-2026-11")},
                                   {"scheme", text("gumbel")},
                                   {"prf", text("xchacha20-bins2048-v1")},
                                   {"notBefore", text("2026-03-01")},
                                   {"notAfter", text("2026-03-31")},
                                   {"purpose", text(texts_.purpose)},
                                   {"digest", text(digest("opening"))}}) +
                               "\n");
    put("suspect.json", object({{"type", text("heirmark/suspect/v1")},
                                {"name", text(texts_.suspect)},
                                {"vocab", number(128256)},
                                {"kind", text("process")},
                                {"command", list({text("./suspect-gateway"), text("--model"), text("student-b")})},
                                {"released", text(texts_.released)},
                                {"weights", text(digest("weights"))}}) +
                            "\n");
    put("transcript.json",
        object({{"type", text("heirmark/transcript/v1")},
                {"plan", text(digest("plan"))},
                {"hello", object({{"name", text(texts_.hello)},
                                  {"vocab", number(128256)},
                                  {"context", number(8192)},
                                  {"weights_digest", text(digest("weights"))}})},
                {"started", text("2026-11-20T10:02:00Z")},
                {"ended", text("2026-11-22T18:31:09Z")},
                {"queries", number(texts_.text_only ? 500 : 820)},
                {"files",
                 list(texts_.text_only ? std::vector<std::string>{object({{"path", text("transcript/c1.jsonl")},
                                                                          {"sha256", text(digest("c1"))},
                                                                          {"lines", number(500)}})}
                                       : std::vector<std::string>{object({{"path", text("transcript/c1.jsonl")},
                                                                          {"sha256", text(digest("c1"))},
                                                                          {"lines", number(500)}}),
                                                                  object({{"path", text("transcript/issued.jsonl")},
                                                                          {"sha256", text(digest("issued"))},
                                                                          {"lines", number(320)}})})}}) +
            "\n");
    put("verdict.json", verdict());
    for (const char* name :
         {"opening.json", "ledger.jsonl", "prompts.jsonl", "transcript/c1.jsonl", "transcript/issued.jsonl"})
      put(name, "SECRET-THAT-MUST-NOT-BE-READ\n");
    if (!texts_.signed_by_all) return;
    statement("commitment", "commitment.json", "provider", "2026-02-26T08:00:00Z", {});
    if (!texts_.text_only)
      statement("ledger", "ledger.jsonl", "provider", "2026-04-01T00:10:00Z",
                {{"commitment", text(digest("commitment"))}});
    statement("plan", "plan.json", "auditor", "2026-11-20T09:15:02Z",
              {{"commitment", text(digest("commitment"))},
               {"ledger", text(ledger())},
               {"prompts", text(digest("prompts"))},
               {"suspect", text(digest("suspect"))}});
    statement("transcript", "transcript.json", "auditor", "2026-11-22T18:40:00Z", {{"plan", text(digest("plan"))}});
    statement("verdict", "verdict.json", "auditor", "2026-11-24T16:41:00Z",
              {{"opening", text(digest("opening"))},
               {"plan", text(digest("plan"))},
               {"transcript", text(digest("transcript"))}});
    put("trust/provider.pem",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf1Kp\n-----END PUBLIC KEY-----\n");
    put("trust/auditor.pem", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA3rNq\n-----END PUBLIC KEY-----\n");
  }

  Kind kind_;
  Texts texts_;
  fs::path folder_;
};

}  // namespace fixture
