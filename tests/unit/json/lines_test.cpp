// Token files from hostile hands (specs/scoring.md, "Token file").
#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "json/lines.hpp"

using namespace heirmark;

namespace {
namespace fs = std::filesystem;

class Folder {
 public:
  Folder() { char name[] = "/tmp/heirmark-lines-XXXXXX"; path = ::mkdtemp(name); }
  ~Folder() { std::error_code ignored; fs::remove_all(path, ignored); }
  fs::path file(const std::string& name, std::string_view bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return path / name;
  }
  fs::path path;
};

/// All lines, then "ERROR ..." if the reader ended in one.
std::vector<std::string> lines_of(const fs::path& path, std::size_t max_line = json::kMaxLine) {
  std::vector<std::string> out;
  auto reader = json::LineReader::open(path, max_line);
  if (!reader) return {"ERROR " + reader.error().message};
  for (;;) {
    auto line = reader->next();
    if (!line) return out.push_back("ERROR " + line.error().message), out;
    if (!*line) return out;
    out.emplace_back(**line);
  }
}

json::TokenLine tokens_of(std::string_view line, std::uint32_t max_token = 99) {
  json::TokenLine out;
  const auto done = json::parse_token_line(line, max_token, out);
  INFO((done ? "" : done.error().message));
  REQUIRE(done.ok());
  return out;
}

std::string refusal(std::string_view line, std::uint32_t max_token = 99) {
  json::TokenLine out;
  const auto done = json::parse_token_line(line, max_token, out);
  return done ? "accepted" : done.error().message;
}
using Lines = std::vector<std::string>;
}  // namespace

TEST_CASE("lines with and without an end are read", "[json]") {
  const Folder folder;
  CHECK(lines_of(folder.file("a", "one\ntwo\nthree")) == Lines{"one", "two", "three"});
  CHECK(lines_of(folder.file("b", "one\r\ntwo\n\n\n")) == Lines{"one", "two"});
  CHECK(lines_of(folder.file("c", "")).empty());
  CHECK(lines_of(folder.file("d", "\n\n")).empty());
}

TEST_CASE("an empty line before another one is an error that names it", "[json]") {
  const Folder folder;
  const fs::path path = folder.file("a", "one\n\n\ntwo\n");
  CHECK(lines_of(path) == Lines{"one", "ERROR " + path.string() + ":2: empty line"});
}

TEST_CASE("lines longer than the reader's buffer are read, those over the limit are refused", "[json]") {
  const Folder folder;
  const std::string big(3'000'000, 'x');
  const fs::path path = folder.file("a", "s\n" + big + "\n" + big + "y\nend");
  const Lines lines = lines_of(path);
  REQUIRE(lines.size() == 4);
  CHECK(lines[1] == big);
  CHECK(lines[2] == big + "y");
  CHECK(lines[3] == "end");
  const Lines limited = lines_of(path, 3'000'000);
  REQUIRE(limited.size() == 3);
  CHECK(limited[2] == "ERROR " + path.string() + ":3: longer than 3000000 bytes");
  const fs::path endless = folder.file("b", big);  // no line feed at all
  CHECK(lines_of(endless, 1000) == Lines{"ERROR " + endless.string() + ":1: longer than 1000 bytes"});
}

TEST_CASE("many short lines keep their order over buffer ends", "[json]") {
  const Folder folder;
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += std::to_string(i) + "\n";
  const Lines lines = lines_of(folder.file("a", text));
  REQUIRE(lines.size() == 200'000);
  bool same = true;
  for (std::size_t i = 0; i < lines.size(); ++i) same = same && lines[i] == std::to_string(i);
  CHECK(same);
}

TEST_CASE("a path that is no file is an error with its name", "[json]") {
  const Folder folder;
  const auto missing = json::LineReader::open(folder.path / "none");
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().code == ErrorCode::bad_input);
  CHECK(missing.error().message.find("none: ") != std::string::npos);
  auto directory = json::LineReader::open(folder.path);
  if (directory) CHECK(directory->next().error().code == ErrorCode::bad_input);
  else CHECK(directory.error().code == ErrorCode::bad_input);
}

TEST_CASE("standard input is read under its name", "[json]") {
  const Folder folder;
  const fs::path path = folder.file("in", "one\n\ntwo\n");
  const int saved = ::dup(STDIN_FILENO), fd = ::open(path.c_str(), O_RDONLY);
  ::dup2(fd, STDIN_FILENO);
  const Lines lines = lines_of("-");
  ::dup2(saved, STDIN_FILENO);
  ::close(saved);
  ::close(fd);
  CHECK(lines == Lines{"one", "ERROR standard input:2: empty line"});
}

TEST_CASE("token lines are read, other members dropped", "[json]") {
  CHECK(tokens_of("{\"tokens\":[]}").tokens.empty());
  const auto line = tokens_of(" {\"prompt_tokens\": 2 , \"tokens\" : [1, 0,\t99] }\r");
  CHECK(line.tokens == std::vector<std::uint32_t>{1, 0, 99});
  CHECK(line.prompt_tokens == 2);
  CHECK(tokens_of("{\"top\":[[[1,0.5e-3]],{\"tokens\":[7.5],\"prompt_tokens\":\"x\"}],\"text\":\"\\u00e9\",\"tokens\":[3],\"x\":null}").tokens ==
        std::vector<std::uint32_t>{3});
  json::TokenLine reused;
  REQUIRE(json::parse_token_line("{\"tokens\":[1,2,3],\"prompt_tokens\":3}", 9, reused).ok());
  REQUIRE(json::parse_token_line("{\"tokens\":[4]}", 9, reused).ok());
  CHECK(reused.tokens == std::vector<std::uint32_t>{4});
  CHECK(reused.prompt_tokens == 0);
}

TEST_CASE("token lines that are wrong say how", "[json]") {
  const std::pair<const char*, const char*> table[] = {
      {"", "cut off"},
      {"{}", "field \"tokens\" is missing"},
      {"[1,2]", "expected an object"},
      {"7", "expected an object"},
      {"null", "expected an object"},
      {"\"x\"", "expected an object"},
      {"{\"tokens\":5}", "\"tokens\" is not"},
      {"{\"tokens\":null}", "\"tokens\" is not a list"},
      {"{\"tokens\":\"x\"}", "\"tokens\" is not a list"},
      {"{\"tokens\":{\"a\":1}}", "\"tokens\" is not a list"},
      {"{\"tokens\":[1,[2]]}", "a token that is not an integer"},
      {"{\"tokens\":[1,{}]}", "a token that is not an integer"},
      {"{\"tokens\":[1.0]}", "a token that is not an integer"},
      {"{\"tokens\":[1e1]}", "a token that is not an integer"},
      {"{\"tokens\":[\"1\"]}", "a token that is not an integer"},
      {"{\"tokens\":[null]}", "a token that is not an integer"},
      {"{\"tokens\":[true]}", "a token that is not an integer"},
      {"{\"tokens\":[-1]}", "a token id that is out of range"},
      {"{\"tokens\":[100]}", "a token id that is out of range"},
      {"{\"tokens\":[4294967297]}", "a token id that is out of range"},
      {"{\"tokens\":[18446744073709551615]}", "a token that is not an integer"},
      {"{\"tokens\":[184467440737095516150000]}", "a token that is not an integer"},
      {"{\"tokens\":[1],\"prompt_tokens\":2}", "\"prompt_tokens\": 2 is more than the 1 tokens"},
      {"{\"tokens\":[1],\"prompt_tokens\":-1}", "\"prompt_tokens\" is negative"},
      {"{\"tokens\":[1],\"prompt_tokens\":0.5}", "\"prompt_tokens\" is not an integer"},
      {"{\"tokens\":[1],\"prompt_tokens\":[0]}", "\"prompt_tokens\" is not an integer"},
      {"{\"tokens\":[1],\"prompt_tokens\":null}", "\"prompt_tokens\" is not an integer"},
      {"{\"tokens\":[1],\"tokens\":[2]}", "the name \"tokens\" occurs twice"},
      {"{\"tokens\":[1],\"prompt_tokens\":0,\"prompt_tokens\":0}", "the name \"prompt_tokens\" occurs twice"},
      {"{\"tokens\":[1]", "cut off"},
      {"{\"tokens\":[1", "cut off"},
      {"{\"tokens\":[1]} x", "something follows the value"},
      {"{\"tokens\":[1]}{\"tokens\":[1]}", "something follows the value"},
      {"{\"tokens\":[01]}", "column"},
      {"{\"tokens\":[1,]}", "column"},
      {"{\"tokens\":[1 2]}", "column"},
      {"{\"x\":\"\x80\",\"tokens\":[1]}", "column"},
  };
  for (const auto& [line, expected] : table) {
    CAPTURE(line);
    const std::string message = refusal(line);
    CAPTURE(message);
    CHECK(message.find(expected) != std::string::npos);
  }
  CHECK(refusal("{\"x\":" + std::string(31, '[') + std::string(31, ']') + ",\"tokens\":[1]}") == "accepted");
  CHECK(refusal("{\"x\":" + std::string(32, '[') + std::string(32, ']') + ",\"tokens\":[1]}").find("too deep") != std::string::npos);
  CHECK(refusal("{\"x\":" + std::string(5'000'000, '[')).find("too deep") != std::string::npos);
}

TEST_CASE("the column of an error is where the value begins that is wrong", "[json]") {
  const std::pair<const char*, const char*> table[] = {
      {"{\"tokens\":[1,100]}", "column 14: a token id that is out of range"},
      {"{\"tokens\":[1, 100 ,3]}", "column 15: a token id that is out of range"},
      {"{\"tokens\":[1,-7,3]}", "column 14: a token id that is out of range"},
      {"{\"tokens\":[100]}", "column 12: a token id that is out of range"},
      {"{\"tokens\":[1,2.5]}", "column 14: a token that is not an integer"},
      {"{\"tokens\":[1,18446744073709551615]}", "column 14: a token that is not an integer"},
      {"{\"tokens\":[1,1844674407370955161500000,3]}", "column 14: a token that is not an integer"},
      {"{\"tokens\":[1,\"23\",3]}", "column 14: a token that is not an integer"},
      {"{\"tokens\":[1,\"\",3]}", "column 14: a token that is not an integer"},
      {"{\"tokens\":[1,\"a\\\"b, c\",3]}", "column 14: a token that is not an integer"},
      {"{\"tokens\":[1,null]}", "column 14: a token that is not an integer"},
      {"{\"tokens\":[1,[2]]}", "column 14: a token that is not an integer"},
      {"{\"x\":\"[\\\\\",\"tokens\":[1,{}]}", "column 24: a token that is not an integer"},
      {"{\"x\":\"[\\\\\",\"tokens\":[1,true ]}", "column 24: a token that is not an integer"},
      {"{\"tokens\": 72}", "column 12: \"tokens\" is not a list"},
      {"{\"tokens\":[1], \"tokens\":[2]}", "column 16: the name \"tokens\" occurs twice"},
      {"{\"tokens\":[1],\"prompt_tokens\":-12}", "column 31: \"prompt_tokens\" is negative"},
      {"  77", "column 3: expected an object"},
      {"{\"tokens\":[1 2]}", "column 14: not JSON"},
      {"\xEF\xBB\xBF{\"tokens\":[1]}", "column 1: a byte order mark, and JSON has none"},
      {"\xFF\xFE{", "column 1: a byte order mark of UTF-16, and JSON is UTF-8"},
      {"{\"x\":\"b\xFC\",\"tokens\":[1]}", "column 8: not UTF-8"},
  };
  for (const auto& [line, expected] : table) {
    CAPTURE(line);
    CHECK(refusal(line) == expected);
  }
}

TEST_CASE("every truncation of a token line is refused", "[json]") {
  const std::string line = "{\"note\":\"\\u00e9\",\"tokens\":[1,22,3],\"prompt_tokens\":1}";
  for (std::size_t end = 0; end < line.size(); ++end) CHECK(refusal(line.substr(0, end)) != "accepted");
  CHECK(refusal(line) == "accepted");
}

TEST_CASE("a reader asks between pieces whether it should stop", "[json]") {
  const Folder folder;
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += "{\"tokens\":[1]}\n";
  const fs::path path = folder.file("long.jsonl", text);
  int asked = 0;
  auto reader = json::LineReader::open(path, json::kMaxLine, [&asked] { return ++asked == 3; }).value();
  std::uint64_t read = 0;
  for (;;) {
    const auto line = reader.next();
    if (!line) {
      CHECK(line.error().code == ErrorCode::stopped);
      CHECK(line.error().message.find(path.string()) != std::string::npos);
      break;
    }
    REQUIRE(line->has_value());
    ++read;
  }
  CHECK(read > 0);
  CHECK(read < 200'000);
}
