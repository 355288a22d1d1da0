// Makes bag/ and the first seeds of corpus/ from real objects: fuzz_seeds FOLDER (usually tests/fuzz). Keys are random, so each bag is another.
#include <fstream>
#include <iostream>

#include "../unit/evidence/bag_world.hpp"
#include "crypto/secretbox.hpp"

namespace {
using namespace heirmark;
namespace fs = std::filesystem;

fs::path home;
void seed(const std::string& target, const std::string& name, const std::string& bytes) {
  fs::create_directories(home / "corpus" / target);
  std::ofstream(home / "corpus" / target / name, std::ios::binary) << bytes;
}
std::string byte(std::size_t value) { return std::string(1, static_cast<char>(value)); }
std::string stem(std::string path) {
  std::replace(path.begin(), path.end(), '/', '-');
  return path;
}
}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::cerr << "fuzz_seeds FOLDER\n", 2;
  home = argv[1];
  const world::Signers signers;
  world::World w({.responses = 4, .tokens = 3, .prompts = 2, .listed = 3, .accounts = {"a", "b"}});
  const world::Files files = world::small_bag(w, signers);
  fs::remove_all(home / "bag");
  for (const auto& [path, bytes] : files) {
    fs::create_directories((home / "bag" / path).parent_path());
    std::ofstream(home / "bag" / path, std::ios::binary) << bytes;
  }
  const auto data = [&](const std::string& path) { return files.at("data/" + path); };

  std::size_t index = 0;
  for (const auto& [path, bytes] : files) {
    seed("bag", stem(path), byte(index) + byte(2) + bytes);
    ++index;
  }
  const char* cases[] = {"commitment.json", "ledger.jsonl", "opening.json", "plan.json", "prompts.jsonl", "suspect.json", "transcript.json", "transcript/c1.jsonl",
                         "transcript/issued.jsonl"};
  for (std::size_t i = 0; i < std::size(cases); ++i) seed("audit_case", stem(cases[i]), byte(i) + data(cases[i]));
  const char* reports[] = {"verdict.json", "plan.json", "transcript.json", "suspect.json", "commitment.json", "statements/plan.dsse.json", "statements/verdict.dsse.json",
                           "trust/auditor.pem"};
  for (std::size_t i = 0; i < std::size(reports); ++i) seed("bag_report", stem(reports[i]), byte(i) + data(reports[i]));

  seed("plan", "all", data("plan.json"));
  seed("verdict", "all", data("verdict.json"));
  seed("transcript", "all", data("transcript.json"));
  seed("suspect", "all", data("suspect.json"));
  seed("opening", "all", data("opening.json"));
  seed("commitment", "all", data("commitment.json"));
  seed("ledger", "all", data("ledger.jsonl"));
  seed("prompts", "all", data("prompts.jsonl"));
  for (int i = 0; i < 5; ++i) {
    const auto object = static_cast<Object>(i);
    const std::string file = data(evidence::statement_file(object));
    seed("statement", std::string(object_name(object)) + "-file", byte(static_cast<std::size_t>(i)) + file);
    seed("statement", std::string(object_name(object)) + "-payload", byte(0x80u + static_cast<std::size_t>((i + 5 - 128 % 5) % 5)) + evidence::parse_envelope(file)->payload);
  }
  seed("json_value", "verdict", data("verdict.json"));
  seed("json_value", "numbers", "[0,-1,9007199254740991,-9007199254740991,1.5e3,1e400,-0]");
  seed("json_value", "text", "{\"\":\"\\u00e9\\ud83d\\ude00\\\"\\\\/\\b\\f\\n\\r\\t\\u001f\xC3\xA9\",\"a\":[true,false,null,{}]}\n");
  seed("token_line", "plain", R"({"prompt_tokens":1,"tokens":[1,22,999],"text":"\u00e9","top":[[[1,0.5]],{"tokens":[]}]})");
  const std::string line = data("transcript/c1.jsonl");
  seed("token_file", "c1", byte(0) + byte(0) + line);
  seed("token_file", "sqrt2", byte(1) + byte(3) + "{\"tokens\":[1,2,3,4,1,2,3,4,1,2,3,4],\"prompt_tokens\":2}\n{\"tokens\":[]}\r\n{\"tokens\":[1,2,3,4]}\n\n");
  seed("token_file", "log2", byte(2) + byte(4) + "{\"tokens\":[7,7,7,7,7,7,7]}\n{\"tokens\":[7,8,7,8,7,8]}");
  std::string reading = byte(0) + byte(3);
  for (int i = 0; i < 250; ++i) reading += byte(static_cast<std::size_t>(i * 37 % 101));
  seed("reading_pairs", "some", reading);
  const std::string c1 = line.substr(0, line.find('\n')), issued = data("transcript/issued.jsonl");
  seed("transcript_lines", "c1", byte(0) + byte(0) + byte(0) + R"({"i":0,"prompt_tokens":2,"tokens":[1,2,3,4]})");
  seed("transcript_lines", "c1-real", byte(0) + byte(0) + byte(0) + c1);
  seed("transcript_lines", "issued", byte(1) + byte(1) + byte(2) + issued.substr(0, issued.find('\n')));
  seed("transcript_lines", "issued-one", byte(1) + byte(1) + byte(1) + R"({"positions":[{"samples":[5],"top":[[4,100]]}],"response":0})");
  const auto transcript = Transcript::parse(data("transcript.json")).value();
  seed("transcript_lines", "progress", byte(2) + byte(0) + byte(0) + audit::progress_bytes({transcript.plan, transcript.started, transcript.hello}));
  seed("key_path", "one", "acme-70b/2026-11");
  seed("key_path", "last", "a.b_c/9999-12");
  const std::string check = crypto::hex_encode(crypto::seal(Secret32{}, "check", {}).value());
  seed("keystore_header", "one", "{\"check\":\"" + check + "\",\"memlimit\":8192,\"opslimit\":1,\"salt\":\"" + std::string(32, '0') + "\",\"type\":\"heirmark/keystore/v1\"}\n");
  seed("keystore_record", "epoch", byte(0) + data("opening.json") + data("commitment.json"));
  const auto der = [](const crypto::PrivateKey& key) { const auto bytes = key.expose_secret_der().value(); return std::string(bytes.begin(), bytes.end()); };
  seed("keystore_record", "ed25519", byte(1) + der(signers.auditor_key));
  seed("keystore_record", "p256", byte(1) + der(signers.provider_key));
  seed("keystore_record", "unsealed", byte(2) + data("opening.json"));
  for (const auto& [name, key] : {std::pair<const char*, const crypto::PrivateKey*>{"ed25519", &signers.auditor_key}, {"p256", &signers.provider_key}}) {
    const std::string pem = key->public_key()->pem();
    std::string text = pem.substr(27, pem.size() - 27 - 25);
    std::erase(text, '\n');
    const auto open = crypto::base64_decode(text).value();
    seed("public_key", std::string(name) + "-pem", byte(0) + pem);
    seed("public_key", std::string(name) + "-der", byte(1) + std::string(open.begin(), open.end()));
    seed("public_key", std::string(name) + "-private", byte(2) + der(*key));
  }
  const auto raw = [](const char* hex) { const auto bytes = crypto::hex_decode(hex).value(); return std::string(bytes.begin(), bytes.end()); };
  // RFC 8032, 7.1, TEST 2; RFC 6979, A.2.5, SHA-256, "sample".
  seed("signature", "ed25519", byte(0) + raw("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"));
  seed("signature", "p256", byte(1) + raw("3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"));
  seed("encodings", "hex", "000fa9ff");
  seed("encodings", "base64", "Zm9vYg==");
  for (const auto& [name, text] : {std::pair<const char*, const char*>{"p", "-41.3000"}, {"alpha", "0.000001"}, {"zero", "0.0000"}, {"date", "2026-11-30"},
                                   {"time", "2026-11-30T23:59:59Z"}})
    seed("decimals", name, text);
  seed("decimals", "wide", "-" + std::string(63, '9'));
  seed("decimals", "small", "0." + std::string(37, '0') + "1");
  const std::string hello = R"({"name":"s","vocab":50,"context":16,"weights_digest":""})";
  const std::string texts = R"({"batch": [ {"tokens": [7, 8]}, {"tokens":[9],"took":3.5} ]})", positions = R"({"positions":[{"top":[[4,100000],[5,3000000]],"samples":[4,4]},{"top":[[9,0]],"samples":[9,9]}]})";
  seed("suspect_reply", "hello", byte(0) + byte(0) + byte(0) + hello);
  seed("suspect_reply", "texts", byte(1) + byte(0) + byte(0) + texts);
  seed("suspect_reply", "positions", byte(2) + byte(2) + byte(2) + positions);
  seed("suspect_reply", "error", byte(2) + byte(2) + byte(2) + "{\"error\":\"out of \\u0007memory\"}");
  seed("suspect_process", "all", hello + "\n" + R"({"batch":[{"tokens":[7]}]})" + "\n" + R"({"positions":[{"top":[[4,1]],"samples":[4]}]})" + "\n");
  seed("suspect_process", "cut", hello + "\n" + R"({"batch":[{"tok)");
  std::string row;
  for (std::size_t i = 0; i < 200; ++i) row += byte(i * i % 251);
  for (std::size_t dtype = 0; dtype < 3; ++dtype)
    for (std::size_t scheme = 0; scheme < 3; ++scheme)
      seed("sampler_row", std::to_string(dtype) + "-" + std::to_string(scheme),
           byte(dtype) + std::string(2, '\0') + byte(16 + dtype) + byte(17 * scheme) + std::string(3, '\0') + byte(scheme) + byte(100) + byte(10 * dtype) + byte(20 * scheme) + byte(239 - 40 * dtype) + byte(2) +
               byte(0xC0 + scheme) + byte(dtype) + row);
  return 0;
}
