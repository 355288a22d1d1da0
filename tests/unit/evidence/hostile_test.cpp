// Bags that somebody damaged or made to hurt.
#include <catch2/catch.hpp>
#include <fstream>
#include <sys/stat.h>

#include "bag_world.hpp"

using namespace heirmark;
namespace fs = std::filesystem;
using world::failures;
using world::Files;
using world::text;
namespace {
struct Bag {
  world::Signers signers;
  world::World w{{.responses = 2, .tokens = 2, .prompts = 1, .listed = 2, .accounts = {"a"}}};
  Files files = world::small_bag(w, signers);
};
const Bag& bag() {
  static const Bag one;
  return one;
}
void write(const Files& files, const fs::path& folder) {
  for (const auto& [path, bytes] : files) {
    fs::create_directories((folder / path).parent_path());
    std::ofstream(folder / path, std::ios::binary) << bytes;
  }
}
}  // namespace

TEST_CASE("every flipped bit of a bag is detected, and the file is named") {
  std::size_t bits = 0;
  Files files = bag().files;
  REQUIRE(world::verify(files).state == BagState::valid);
  for (auto& [path, bytes] : files) {
    const bool payload = path.starts_with("data/");
    for (std::size_t i = 0; i < bytes.size(); ++i)
      for (int bit = 0; bit < 8; ++bit) {
        bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
        VerifyReport report;
        REQUIRE(evidence::verify_files(files, {}, report).ok());
        if (report.state != BagState::invalid || (payload && report.checks.back().detail.find(path) == std::string::npos)) {
          INFO(path << " byte " << i << " bit " << bit << "\n" << text(report));
          REQUIRE(false);
        }
        bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
        ++bits;
      }
  }
  CHECK(bits > 50'000);
  CHECK(world::verify(files).state == BagState::valid);
}

TEST_CASE("every flipped byte of a payload is detected even when the manifests are made again") {
  // One bit in each byte: the manifests fit, so a binding, a signature or the recomputed verdict has to tell.
  Files files = bag().files;
  for (auto& [path, bytes] : files) {
    if (!path.starts_with("data/")) continue;
    const std::size_t step = std::max<std::size_t>(1, bytes.size() / 120);
    for (std::size_t i = 0; i < bytes.size(); i += step) {
      bytes[i] = static_cast<char>(bytes[i] ^ 1);
      const VerifyReport report = world::verify(world::remade(files));
      INFO(path << " byte " << i);
      REQUIRE(report.state == BagState::invalid);
      bytes[i] = static_cast<char>(bytes[i] ^ 1);
    }
  }
}

TEST_CASE("a file cut off anywhere is detected") {
  for (const auto& [path, bytes] : bag().files) {
    Files files = bag().files;
    for (const std::size_t length : {std::size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
      files[path] = bytes.substr(0, length);
      CHECK(world::verify(files).state == BagState::invalid);
      if (path.starts_with("data/")) CHECK(world::verify(world::remade(files)).state == BagState::invalid);
    }
    files.erase(path);
    CHECK(world::verify(files).state == BagState::invalid);
    if (path.starts_with("data/")) {
      const auto failed = failures(world::verify(world::remade(files)));
      const bool statement = path.starts_with("data/statements/");
      CHECK(failed.contains(statement ? "statement." + path.substr(16, path.size() - 26) + ".missing" : "bag.missing-file"));
    }
  }
}

TEST_CASE("hostile bytes in any object give a code, not a crash") {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']') + "\n";
  const std::vector<std::string> bodies{
      "", "\n", "{}\n", "[]\n", "null\n", "0\n", "{", "{\"a\":1,\"a\":1}\n", "{\"type\":1e400}\n", "{\"type\":99999999999999999999}\n", deep, std::string(5000, '{'),
      "{\"type\":\"\\ud800\"}\n", "{\"type\":\"\xff\xfe\"}\n", std::string("{\"type\":\"\0\"}\n", 13), "\xef\xbb\xbf{}\n", "{\"\\u0000\":1}\n", std::string(1 << 20, ' ') + "{}\n",
      "{\"payload\":\"!!\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":[]}\n", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
      "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"};
  for (const auto& [path, bytes] : bag().files) {
    if (!path.starts_with("data/")) continue;
    for (const std::string& body : bodies) {
      Files files = bag().files;
      files[path] = body;
      const VerifyReport report = world::verify(world::remade(files));
      INFO(path << " " << body.substr(0, 40));
      REQUIRE(report.state == BagState::invalid);
      for (const Check& check : report.checks) REQUIRE(check.detail.size() < 2000);
    }
  }
  CHECK(world::verify({}).state == BagState::invalid);
}

TEST_CASE("what does not belong into a bag on a disk is told") {
  world::Folder folder;
  const fs::path home = folder.path() / "bag";
  const auto code_after = [&](const std::function<void()>& damage) {
    fs::remove_all(home);
    write(bag().files, home);
    REQUIRE(verify_bag(home, {})->state == BagState::valid);
    damage();
    const auto report = verify_bag(home, {});
    if (!report.ok()) FAIL(report.error().message);
    CHECK(report->state == BagState::invalid);
    return report->checks.front().code;
  };
  CHECK(code_after([&] { std::ofstream(home / "readme.txt") << "x"; }) == "bag.extra-file");
  CHECK(code_after([&] { std::ofstream(home / "data/report.html") << "x"; }) == "bag.extra-file");
  CHECK(code_after([&] { fs::create_directory(home / "data/more"); }) == "bag.extra-file");
  CHECK(code_after([&] { std::ofstream(home / "data/statements/report.dsse.json") << "x"; }) == "bag.extra-file");
  CHECK(code_after([&] { std::ofstream(home / "data/a\nb") << "x"; }) == "bag.extra-file");
  CHECK(code_after([&] { fs::rename(home / "data/plan.json", folder.path() / "plan"); fs::create_symlink(folder.path() / "plan", home / "data/plan.json"); }) == "bag.file-type");
  CHECK(code_after([&] { fs::rename(home / "data/trust", folder.path() / "trust"); fs::create_directory_symlink(folder.path() / "trust", home / "data/trust"); }) == "bag.extra-file");
  fs::remove_all(folder.path() / "trust");
  CHECK(code_after([&] { fs::remove(home / "data/verdict.json"); fs::create_directory(home / "data/verdict.json"); }) == "bag.extra-file");
  CHECK(code_after([&] { fs::remove(home / "data/ledger.jsonl"); mkfifo((home / "data/ledger.jsonl").c_str(), 0600); }) == "bag.file-type");
  CHECK(code_after([&] { fs::remove(home / "data/plan.json"); }) == "bag.manifest");
  CHECK(code_after([&] { fs::remove(home / "bagit.txt"); }) == "bag.missing-file");
  CHECK(code_after([&] { std::ofstream(home / "manifest-sha256.txt", std::ios::app) << std::string(64, '0') + "  ../../etc/passwd\n"; }) == "bag.manifest");
  CHECK(code_after([&] { for (int i = 0; i < 300; ++i) std::ofstream(home / ("x" + std::to_string(i))) << ""; }) == "bag.extra-file");
  CHECK(!verify_bag(folder.path() / "no-such-bag", {}).ok());
  CHECK(!verify_bag(home / "bagit.txt", {}).ok());
  fs::create_directory_symlink(home, folder.path() / "link");
  CHECK(verify_bag(folder.path() / "link", {}).ok());  // the caller's own
  fs::create_symlink(home / "bagit.txt", folder.path() / "link to a file");
  CHECK(!verify_bag(folder.path() / "link to a file", {}).ok());
  fs::create_symlink("nowhere", folder.path() / "dangling");
  CHECK(!verify_bag(folder.path() / "dangling", {}).ok());
}

TEST_CASE("files over the limits are not read") {
  world::Folder folder;
  const fs::path home = folder.path() / "bag";
  write(bag().files, home);
  VerifyOptions options;
  options.max_object = 400;
  auto report = verify_bag(home, options);
  REQUIRE(report.ok());
  CHECK(failures(*report).contains("bag.size"));
  options = {};
  options.max_records = 100;
  CHECK(failures(*verify_bag(home, options)).contains("bag.size"));
  // A sparse file of a terabyte costs nothing to make and must cost nothing to refuse.
  fs::resize_file(home / "data/ledger.jsonl", 1ull << 40);
  CHECK(failures(*verify_bag(home, {})).contains("bag.size"));
}

TEST_CASE("tag files have one form") {
  const auto refused = [](const char* name, const std::string& bytes) {
    Files files = bag().files;
    files[name] = bytes;
    files["tagmanifest-sha256.txt"].clear();
    for (const char* tag : {"bag-info.txt", "bagit.txt", "manifest-sha256.txt"}) files["tagmanifest-sha256.txt"] += crypto::sha256_hex(files[tag]) + "  " + tag + "\n";
    return failures(world::verify(files));
  };
  const std::string info = bag().files.at("bag-info.txt"), manifest = bag().files.at("manifest-sha256.txt");
  CHECK(refused("bagit.txt", "BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n") == std::set<std::string>{"bag.tags"});
  CHECK(refused("bag-info.txt", info + "Contact-Name: me\n") == std::set<std::string>{"bag.tags"});
  CHECK(refused("bag-info.txt", "Bagging-Date: 2026-12-06" + info.substr(24)) == std::set<std::string>{"bag.tags"});
  CHECK(refused("manifest-sha256.txt", manifest + manifest.substr(0, manifest.find('\n') + 1)) == std::set<std::string>{"bag.manifest"});
  const std::size_t first = manifest.find('\n') + 1;
  CHECK(refused("manifest-sha256.txt", manifest.substr(first) + manifest.substr(0, first)) == std::set<std::string>{"bag.manifest"});
}
