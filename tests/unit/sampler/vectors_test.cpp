// specs/vectors/sampler.json, through the public API, with every instruction set.
#include <boost/json/src.hpp>
#include <catch2/catch.hpp>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <heirmark/sampler.hpp>

#include "core/dispatch.hpp"

using namespace heirmark;
namespace json = boost::json;

namespace {
const json::object& vectors() {
  static const json::object file = [] {
    std::ifstream in(HEIRMARK_SOURCE_DIR "/specs/vectors/sampler.json");
    std::stringstream text;
    text << in.rdbuf();
    return json::parse(text.str()).as_object();
  }();
  return file;
}

std::string text(const json::value& value) { return std::string(value.as_string()); }

template <std::size_t N>
std::array<std::uint8_t, N> bytes(const json::value& hex) {
  const std::string digits = text(hex);
  REQUIRE(digits.size() == 2 * N);
  std::array<std::uint8_t, N> out{};
  for (std::size_t i = 0; i < N; ++i) out[i] = static_cast<std::uint8_t>(std::stoi(digits.substr(2 * i, 2), nullptr, 16));
  return out;
}

float real(const json::value& value) {
  if (!value.is_string()) return static_cast<float>(value.to_number<double>());
  if (value.as_string() == "nan") return std::numeric_limits<float>::quiet_NaN();
  return value.as_string() == "inf" ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
}

std::vector<float> logits_of(const json::object& spec) {
  const auto number = [&](const char* name) { return spec.at(name).to_number<std::uint64_t>(); };
  const std::uint64_t modulus = spec.at("mask").at(0).to_number<std::uint64_t>();
  std::vector<bool> stays(modulus);
  for (const auto& residue : spec.at("mask").at(1).as_array()) stays[residue.to_number<std::size_t>()] = true;
  std::vector<float> row(number("vocab"));
  for (std::uint64_t v = 0; v < row.size(); ++v) {
    const auto n = static_cast<std::int64_t>((number("a") * v * v + number("b") * v) % number("m")) - static_cast<std::int64_t>(number("c"));
    row[v] = stays[v % modulus] ? std::ldexp(static_cast<float>(n), -static_cast<int>(number("s"))) : -std::numeric_limits<float>::infinity();
  }
  for (const auto& pair : spec.at("set").as_array()) row[pair.at(0).to_number<std::size_t>()] = real(pair.at(1));
  return row;
}

Subkeys subkeys_of(const json::object& spec) {
  Subkeys keys;
  for (std::size_t c = 0; c < Subkeys::kClasses; ++c) keys.window[c] = Secret32(bytes<32>(spec.at("window").at(c)));
  keys.coin = Secret32(bytes<32>(spec.at("coin")));
  for (const auto& account : spec.at("issuance").as_array()) keys.issuance.emplace_back(bytes<32>(account));
  return keys;
}

const std::map<std::string, Mode> kModes = {{"off", Mode::off}, {"greedy", Mode::greedy}, {"marked", Mode::marked}, {"issuance", Mode::issuance}};
const std::map<std::string, RowStatus> kStatus = {{"marked", RowStatus::marked}, {"issued", RowStatus::issued}, {"unmarked", RowStatus::unmarked},
                                                  {"no-finite-logit", RowStatus::no_finite_logit}, {"infinite-logit", RowStatus::infinite_logit},
                                                  {"bad-parameter", RowStatus::bad_parameter}};

void run_case(const json::object& c, const std::map<std::string, std::vector<float>>& rows, bool log_probs) {
  RequestId id;
  id.bytes = bytes<12>(c.at("requestId"));
  std::vector<TokenId> prompt;
  for (const auto& token : c.at("prompt").as_array()) prompt.push_back(token.to_number<TokenId>());
  // One sampler for each vocabulary; the sequence belongs to none of them.
  std::map<std::size_t, Sampler> samplers;
  const auto sampler_of = [&](std::size_t vocab) -> Sampler& {
    auto found = samplers.find(vocab);
    if (found == samplers.end()) {
      auto made = Sampler::create(profiles::find(text(c.at("profile"))).value(), subkeys_of(vectors().at("subkeys").as_object()),
                                  {.vocab_size = static_cast<std::uint32_t>(vocab), .max_rows = 4, .log_probs = log_probs});
      REQUIRE(made.ok());
      found = samplers.emplace(vocab, std::move(made).value()).first;
    }
    return found->second;
  };
  Sequence sequence = sampler_of(1).begin(id, prompt, c.at("account").to_number<std::uint32_t>());
  for (const auto& value : c.at("steps").as_array()) {
    const json::object& step = value.as_object();
    if (step.contains("accept")) {
      sequence.accept(step.at("accept").to_number<TokenId>());
      continue;
    }
    INFO("row " << step.at("row").to_number<int>());
    const std::vector<float>& row = rows.at(text(step.at("logits")));
    const Row request{&sequence, {real(step.at("temperature")), real(step.at("minP")), step.at("topK").to_number<std::uint32_t>(), real(step.at("topP")),
                                  kModes.at(text(step.at("mode")))}};
    Sampled out;
    REQUIRE(sampler_of(row.size()).sample({row.data(), DType::float32, 1, row.size()}, {&request, 1}, {&out, 1}).ok());
    CHECK(static_cast<int>(out.status) == static_cast<int>(kStatus.at(text(step.at("status")))));
    CHECK(out.token == (step.at("token").is_null() ? kNoToken : step.at("token").to_number<TokenId>()));
    if (out.token != kNoToken) CHECK(out.token % 2048 == step.at("bin").to_number<TokenId>());
  }
}
}  // namespace

TEST_CASE("vectors: every row gives its token and status with every instruction set") {
  std::map<std::string, std::vector<float>> rows;
  for (const auto& [name, spec] : vectors().at("logits").as_object()) rows[std::string(name)] = logits_of(spec.as_object());
  REQUIRE(vectors().at("cases").as_array().size() > 0);
  for (const core::InstructionSet set : core::kInstructionSets) {
    if (!core::can_run(set)) continue;
    core::force_instruction_set(set);
    for (const auto& c : vectors().at("cases").as_array()) {
      INFO(core::name(set) << " " << text(c.at("id")));
      run_case(c.as_object(), rows, false);
      run_case(c.as_object(), rows, true);
    }
  }
  core::force_instruction_set(std::nullopt);
}
