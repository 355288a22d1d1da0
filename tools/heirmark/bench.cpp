// bench: how fast this machine is, in half a minute. tests/bench measures properly.
#include <heirmark/detect.hpp>
#include <heirmark/sampler.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <span>
#include <thread>

#include "commands.hpp"
#include "json_writer.hpp"
#include "shell.hpp"

namespace heirmark::cli {
namespace {
struct BenchArguments {
  std::uint64_t vocab = 128256, rows = 16, threads = 1;
  double seconds = 1.0;
  bool json = false;
};

/// A key that everybody knows: bytes 0, 1, 2, ...
Secret32 known_secret() {
  std::array<std::uint8_t, 32> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  return Secret32(bytes);
}

std::string repeated_hex(std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) {
    text += "0123456789abcdef"[i >> 4];
    text += "0123456789abcdef"[i & 15];
  }
  return text;
}

Result<Opening> known_opening() {
  JsonWriter json;
  json.begin_object().member("familySecret", repeated_hex(32)).member("familySize", std::uint64_t{1} << 20);
  json.member("keyId", EpochSecret(known_secret()).key_id()).member("liveIndex", std::uint64_t{12345}).member("nonce", repeated_hex(32));
  json.member("path", "bench/2026-11").member("profile", "standard-2026-11").member("type", "heirmark/opening/v1").end_object();
  return Opening::parse(json.line());
}

/// Index of the greatest value, as fast as plain code gets: 64 running maxima that the compiler keeps in vector registers.
std::size_t argmax(std::span<const float> row) {
  constexpr std::size_t kLanes = 64;
  std::array<float, kLanes> lanes;
  lanes.fill(row[0]);
  std::size_t i = 0;
  for (; i + kLanes <= row.size(); i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) lanes[j] = row[i + j] > lanes[j] ? row[i + j] : lanes[j];
  }
  float greatest = *std::max_element(lanes.begin(), lanes.end());
  for (; i < row.size(); ++i) greatest = std::max(greatest, row[i]);
  return static_cast<std::size_t>(std::find(row.begin(), row.end(), greatest) - row.begin());
}

/// Calls work() until the time is up; returns calls per second.
template <class Work>
Result<double> rate(double seconds, const Work& work) {
  using Clock = std::chrono::steady_clock;
  if (auto warm = work(); !warm) return warm.error();
  const auto start = Clock::now();
  std::uint64_t calls = 0;
  double passed = 0;
  do {
    if (interrupted()) return stopped_error("nothing was measured to its end");
    if (auto done = work(); !done) return done.error();
    ++calls;
    passed = std::chrono::duration<double>(Clock::now() - start).count();
  } while (passed < seconds);
  return static_cast<double>(calls) / passed;
}

struct Rates { double words = 0, positions = 0, rows = 0, argmax = 0; std::string instruction_set; };

Result<void> measure_scoring(const BenchArguments& arguments, Rates& rates) {
  const auto opening = known_opening();
  if (!opening) return opening.error();
  std::vector<TokenText> texts(64);
  std::uint32_t state = 1;
  for (TokenText& text : texts) {
    for (int i = 0; i < 1024; ++i) text.tokens.push_back((state = state * 1664525u + 1013904223u) >> 17);
  }
  PairSet pairs;
  const auto collected = rate(arguments.seconds, [&]() -> Result<void> {
    auto found = collect_pairs(opening->profile(), opening->coin(), texts, CountRule::distinct);
    if (!found) return found.error();
    pairs = *std::move(found);
    return {};
  });
  if (!collected) return collected.error();
  rates.positions = *collected * 64 * 1024;
  DetectOptions options;
  options.decoys = 255;
  options.threads = static_cast<unsigned>(arguments.threads);
  const auto scored = rate(arguments.seconds, [&]() -> Result<void> {
    const auto found = detect(*opening, pairs, options);
    return found ? Result<void>{} : found.error();
  });
  if (!scored) return scored.error();
  rates.words = *scored * 256 * static_cast<double>(pairs.pairs.size());
  return {};
}

Result<void> measure_sampling(const BenchArguments& arguments, Rates& rates) {
  const auto opening = known_opening();
  if (!opening) return opening.error();
  const std::vector<std::string> accounts{"default"};
  Sampler::Options options;
  options.vocab_size = static_cast<std::uint32_t>(arguments.vocab);
  options.max_rows = arguments.rows;
  options.threads = static_cast<unsigned>(arguments.threads);
  auto sampler = Sampler::create(opening->profile(), opening->live_subkeys(accounts), options);
  if (!sampler) return sampler.error();
  rates.instruction_set = sampler->instruction_set();
  std::vector<float> logits(arguments.rows * arguments.vocab);
  std::uint32_t state = 1;
  for (float& logit : logits) logit = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-20f;
  std::vector<Sequence> sequences;
  for (std::uint64_t i = 0; i < arguments.rows; ++i) {
    RequestId id;
    id.bytes[11] = static_cast<std::uint8_t>(i);
    id.bytes[10] = static_cast<std::uint8_t>(i >> 8);
    sequences.push_back(sampler->begin(id, {}));
  }
  std::vector<Row> rows(arguments.rows);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].sequence = &sequences[i];
  std::vector<Sampled> sampled(arguments.rows);
  const auto drawn = rate(arguments.seconds, [&] { return sampler->sample({logits.data(), DType::float32, arguments.rows, arguments.vocab}, rows, sampled); });
  if (!drawn) return drawn.error();
  rates.rows = *drawn * static_cast<double>(arguments.rows);
  std::uint64_t sum = 0;
  const auto greatest = rate(arguments.seconds / 2, [&]() -> Result<void> {
    for (std::uint64_t row = 0; row < arguments.rows; ++row) {
      sum += argmax(std::span(logits).subspan(row * arguments.vocab, arguments.vocab)) + 1;
    }
    return {};
  });
  if (!greatest) return greatest.error();
  rates.argmax = sum == 0 ? 0 : *greatest * static_cast<double>(arguments.rows);
  return {};
}

Result<int> run_bench(const BenchArguments& arguments) {
  Rates rates;
  if (auto done = measure_scoring(arguments, rates); !done) return done.error();
  if (auto done = measure_sampling(arguments, rates); !done) return done.error();
  if (arguments.json) {
    JsonWriter json;
    json.begin_object().member("words_per_s", rates.words).member("positions_per_s", rates.positions).member("rows_per_s", rates.rows);
    json.member("argmax_rows_per_s", rates.argmax).member("vocab", arguments.vocab).member("rows", arguments.rows).member("threads", arguments.threads);
    json.member("instruction_set", rates.instruction_set).end_object();
    return print(json.line()), 0;
  }
  const auto line = [](const char* name, double value, const std::string& what) {
    std::string number = grouped(static_cast<std::uint64_t>(value));
    print(std::string(name) + std::string(number.size() < 16 ? 16 - number.size() : 0, ' ') + number + "/s  " + what + "\n");
  };
  const std::string threads = arguments.threads == 1 ? "1 thread" : std::to_string(arguments.threads) + " threads";
  line("words     ", rates.words, "pairs scored for one member each (" + threads + ")");
  line("positions ", rates.positions, "tokens turned into pairs (1 thread)");
  line("rows      ", rates.rows, "marked tokens from " + grouped(arguments.vocab) + " float32 logits (" + threads + ", " + rates.instruction_set + ")");
  line("argmax    ", rates.argmax, "greatest logit of the same rows (1 thread, plain C++)");
  return 0;
}
}  // namespace

void add_bench(Command& root) {
  auto arguments = std::make_shared<BenchArguments>();
  Command& bench = root.add("bench", "measure scoring and sampling on this machine");
  bench.whole("--vocab", "V", arguments->vocab, 1, kMaxVocab, "vocabulary of the sampler [128256]");
  bench.whole("--rows", "N", arguments->rows, 1, 1024, "rows of a batch [16]");
  bench.whole("--threads", "N", arguments->threads, 1, 1024, "[1]");
  bench.real("--seconds", "S", arguments->seconds, 0.01, 600, "for each measurement [1]");
  bench.flag("--json", arguments->json, "one JSON object");
  bench.example("heirmark bench --vocab 128256 --threads 2");
  bench.run([arguments] { return run_bench(*arguments); });
}

}  // namespace heirmark::cli
