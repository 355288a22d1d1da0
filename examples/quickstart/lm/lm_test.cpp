// Tests of the quickstart's language model. Seeds are fixed, so nothing here fails by chance.
#define CATCH_CONFIG_MAIN
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "corpus.hpp"
#include "decoder.hpp"
#include "documents.hpp"
#include "files.hpp"
#include "kernels.hpp"
#include "model.hpp"
#include "rng.hpp"
#include "serve.hpp"
#include "tokenizer.hpp"

namespace quickstart {
namespace {

namespace json = boost::json;

constexpr ModelConfig kTiny{.vocab = 17, .width = 8, .layers = 2, .heads = 2, .hidden = 12, .context = 6};

std::vector<TokenId> some_tokens(std::size_t count, std::uint32_t vocab, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<TokenId> tokens(count);
  for (TokenId& token : tokens) token = static_cast<TokenId>(rng.below(vocab));
  return tokens;
}

/// A folder that goes away with the test.
struct Scratch {
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "lm_test.XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~Scratch() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

TEST_CASE("the gradient agrees with differences of the loss") {
  const Model model = Model::init(kTiny, 3).value();
  Floats weights(model.weights().begin(), model.weights().end());
  Rng rng(4);
  for (float& w : weights) w += 0.3f * static_cast<float>(rng.normal());  // away from the symmetric start
  const std::size_t rows = 3, length = 9;  // longer than the context: the band is tested too
  const auto inputs = some_tokens(rows * length, kTiny.vocab, 5);
  auto targets = some_tokens(rows * length, kTiny.vocab, 6);
  targets[4] = kNoTarget;
  Shard shard(kTiny, rows, length);
  Floats gradient(weights.size());
  (void)shard.loss(weights.data(), inputs, targets, 1.0f, gradient.data());
  double error = 0.0, size = 0.0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const float kept = weights[i], step = 1e-3f;
    weights[i] = kept + step;
    const double above = shard.loss(weights.data(), inputs, targets, 1.0f, nullptr);
    weights[i] = kept - step;
    const double below = shard.loss(weights.data(), inputs, targets, 1.0f, nullptr);
    weights[i] = kept;
    const double slope = (above - below) / (2.0 * static_cast<double>(step));
    INFO("weight " << i);
    CHECK(std::abs(slope - static_cast<double>(gradient[i])) < 0.02 + 0.02 * std::abs(slope));
    error += std::pow(slope - static_cast<double>(gradient[i]), 2);
    size += slope * slope;
  }
  CHECK(std::sqrt(error / size) < 2e-3);
}

TEST_CASE("the decoder agrees with teacher forcing, past the context too") {
  const Model model = Model::init(kTiny, 7).value();
  const auto first = some_tokens(20, kTiny.vocab, 8), second = some_tokens(20, kTiny.vocab, 9);
  const Floats expected = model.logits(second, 1);
  for (const unsigned threads : {1u, 2u}) {
    Decoder decoder(model, 2, threads);
    for (std::size_t t = 0; t < first.size(); ++t) {
      (void)decoder.step(std::vector<TokenId>{first[t], second[t]});
      for (std::size_t v = 0; v < kTiny.vocab; ++v)
        REQUIRE(decoder.row(1)[v] == Approx(expected[t * kTiny.vocab + v]).margin(1e-5));
    }
  }
}

TEST_CASE("a distribution depends on the past only") {
  const Model model = Model::init(kTiny, 7).value();
  auto tokens = some_tokens(6, kTiny.vocab, 8);
  const auto before = model.logits(tokens, 1);
  tokens[4] = (tokens[4] + 1) % kTiny.vocab;
  const auto after = model.logits(tokens, 1);
  const auto rows = static_cast<std::ptrdiff_t>(4 * kTiny.vocab);
  CHECK(std::equal(before.begin(), before.begin() + rows, after.begin()));
  CHECK_FALSE(std::equal(before.begin() + rows, before.end(), after.begin() + rows));
}

TEST_CASE("training learns, and gives the same weights on one and two threads") {
  std::vector<TokenId> stream;
  for (TokenId i = 0; i < 400; ++i) stream.push_back(i * i % 17);
  TrainingPlan plan;
  plan.sources.push_back({.stream = stream, .documents = {}, .share = 0.5});
  plan.sources.push_back({.stream = {}, .documents = {{1, 2, 3}, {4, 5, 6, 7, 8, 9, 10, 11}}, .share = 0.5});
  plan.steps = 60;
  plan.batch = 6;
  plan.warmup = 5;
  plan.peak_rate = 1e-2;
  std::vector<Floats> results;
  for (const unsigned threads : {1u, 2u, 3u}) {
    Model model = Model::init(kTiny, 1).value();
    const double before = model.loss(stream, 1);
    plan.threads = threads;
    REQUIRE(model.train(plan));
    CHECK(model.loss(stream, threads) < before - 0.5);
    results.emplace_back(model.weights().begin(), model.weights().end());
  }
  CHECK((results[0] == results[1]));
  CHECK((results[0] == results[2]));
}

TEST_CASE("a plan that makes no sense is refused and changes nothing") {
  Model model = Model::init(kTiny, 1).value();
  const std::string digest = model.digest();
  TrainingPlan plan;
  CHECK(model.train(plan).error().code == ErrorCode::usage);
  plan.sources.push_back({.stream = std::vector<TokenId>(100, 17), .documents = {}, .share = 1.0});
  CHECK(model.train(plan).error().code == ErrorCode::bad_input);
  plan.sources[0] = {.stream = std::vector<TokenId>(7, 0), .documents = {}, .share = 1.0};
  CHECK(model.train(plan).error().code == ErrorCode::usage);
  CHECK(model.digest() == digest);
  CHECK_FALSE(Model::init({.vocab = 17, .width = 9, .layers = 1, .heads = 2, .hidden = 4, .context = 8}, 1));
}

TEST_CASE("model files: what was saved is loaded, what was changed is refused") {
  const Scratch scratch;
  const auto file = scratch.path / "m.qslm";
  const Model model = Model::init(kTiny, 2).value();
  REQUIRE(model.save(file));
  CHECK(Model::load(file).value().digest() == model.digest());
  const std::string bytes = read_file(file).value();
  for (std::size_t at = 0; at < bytes.size(); at += 61) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    REQUIRE(write_file(file, changed));
    CHECK(Model::load(file).error().code == ErrorCode::bad_input);
    REQUIRE(write_file(file, bytes.substr(0, at)));
    CHECK(Model::load(file).error().code == ErrorCode::bad_input);
  }
  REQUIRE(write_file(file, bytes + "x"));
  CHECK_FALSE(Model::load(file));
  CHECK(Model::load(scratch.path / "none").error().code == ErrorCode::io);
}

TEST_CASE("tokenizer: round trip, determinism, hostile files") {
  const Scratch scratch;
  const auto file = scratch.path / "t.bpe";
  const std::string text = "And the LORD said unto the man, the 12 men of the land;\nand they saw the sea. The end\n";
  const Tokenizer tokenizer = Tokenizer::train(text, 300).value();
  CHECK(tokenizer.vocab() > 256);
  const std::string odd = "the \xff\x00 sea  \xc3\xa9 12345 " + text;
  CHECK(tokenizer.decode(tokenizer.encode(odd)) == odd);
  CHECK(tokenizer.encode(text).size() < text.size());
  REQUIRE(tokenizer.save(file));
  CHECK(Tokenizer::load(file).value().encode(odd) == tokenizer.encode(odd));
  for (const char* bad : {"", "quickstart-bpe 2\n", "quickstart-bpe 1\n1 2 3\n", "quickstart-bpe 1\n1\n",
                          "quickstart-bpe 1\n1 256\n", "quickstart-bpe 1\n-1 2\n", "quickstart-bpe 1\n\n1 2\n"}) {
    REQUIRE(write_file(file, bad));
    INFO(bad);
    CHECK(Tokenizer::load(file).error().code == ErrorCode::bad_input);
  }
}

TEST_CASE("the parts of the corpus share no line") {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += std::to_string(i) + "\n";
  std::size_t lines = 0;
  for (const Part part : {Part::teacher, Part::student, Part::held_out}) lines += lines_of(text, part).size();
  CHECK(lines == 5000);
  CHECK(lines_of(text, Part::held_out).front() == "960\n");
}

TEST_CASE("documents: accounts are chosen, bad lines are named") {
  const Scratch scratch;
  const auto file = scratch.path / "ledger.jsonl";
  const std::string good = R"({"account":"a","prompt":[1,2],"tokens":[3]})"
                           "\n"
                           R"({"account":"b","prompt":[4],"tokens":[5,6]})"
                           "\n";
  REQUIRE(write_file(file, good));
  CHECK(read_documents(file, 17, {}).value().size() == 2);
  CHECK(read_documents(file, 17, {"b"}).value() == std::vector<std::vector<TokenId>>{{4, 5, 6}});
  CHECK_FALSE(read_documents(file, 17, {"c"}));
  CHECK_FALSE(read_documents(file, 6, {}));
  REQUIRE(write_file(file, good + "{\n"));
  CHECK(read_documents(file, 17, {}).error().message.find(":3:") != std::string::npos);
}

TEST_CASE("the suspect process answers its protocol") {
  const Model model = Model::init(kTiny, 2).value();
  const auto ask = [&](const std::string& line) { return json::parse(answer(model, "s", line, 2)).as_object(); };
  CHECK(ask(R"({"op":"hello"})")["vocab"] == 17);
  CHECK(std::string(ask(R"({"op":"hello"})")["weights_digest"].as_string()) == model.digest());

  const auto single = ask(R"({"op":"generate","prompt":[1,2],"n":12,"seed":5,"temperature_milli":700})");
  CHECK(single.at("tokens").as_array().size() == 12);
  const auto batch = ask(
      R"({"op":"generate","batch":[{"prompt":[3],"n":2,"seed":9},{"prompt":[1,2],"n":12,"seed":5}],"temperature_milli":700})");
  CHECK(batch.at("batch").as_array()[1].as_object().at("tokens") == single.at("tokens"));

  const auto scores = ask(R"({"op":"score","tokens":[1,2,3,4,5],"from":2,"top":17,"samples":4,"seed":1})");
  const json::array& positions = scores.at("positions").as_array();
  REQUIRE(positions.size() == 3);
  double total = 0.0;
  std::int64_t previous = 0;
  for (const json::value& entry : positions[0].as_object().at("top").as_array()) {
    const std::int64_t nlp = entry.as_array()[1].as_int64();
    CHECK(nlp >= previous);
    previous = nlp;
    total += std::exp(-1e-6 * static_cast<double>(nlp));
  }
  CHECK(total == Approx(1.0).margin(1e-4));
  CHECK(positions[0].as_object().at("samples").as_array().size() == 4);
  const auto later = ask(R"({"op":"score","tokens":[1,2,3,4,5],"from":4,"top":17,"samples":4,"seed":1})");
  CHECK(later.at("positions").as_array()[0].as_object().at("samples") == positions[2].as_object().at("samples"));
}

TEST_CASE("the suspect process refuses what is malformed") {
  const Model model = Model::init(kTiny, 2).value();
  for (const char* bad : {"",
                          "{",
                          "[]",
                          "1",
                          "{}",
                          R"({"op":1})",
                          R"({"op":"x"})",
                          R"({"op":"generate"})",
                          R"({"op":"generate","prompt":[],"n":1})",
                          R"({"op":"generate","prompt":[17],"n":1})",
                          R"({"op":"generate","prompt":[-1],"n":1})",
                          R"({"op":"generate","prompt":[1.5],"n":1})",
                          R"({"op":"generate","prompt":[1],"n":-1})",
                          R"({"op":"generate","prompt":[1],"n":99999999})",
                          R"({"op":"generate","batch":[1]})",
                          R"({"op":"generate","batch":{}})",
                          R"({"op":"score","tokens":[1,2],"from":0})",
                          R"({"op":"score","tokens":[1,2],"from":3})",
                          R"({"op":"score","tokens":[1,2],"from":1,"top":18})",
                          R"({"op":"score","tokens":"x","from":1})",
                          R"({"op":"generate","prompt":[1],"n":1,"seed":-4})",
                          R"({"op":"generate","prompt":[1],"n":1,"temperature_milli":"a"})"}) {
    INFO(bad);
    CHECK(json::parse(answer(model, "s", bad, 1)).as_object().contains("error"));
  }
  const std::string deep(100000, '[');
  CHECK(json::parse(answer(model, "s", deep, 1)).as_object().contains("error"));
}

}  // namespace
}  // namespace quickstart
