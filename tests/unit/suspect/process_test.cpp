// ProcessSuspect against programs that misbehave. Each is a shell script: what it prints is what we get.
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <heirmark/suspect.hpp>

using namespace heirmark;
using namespace std::chrono_literals;
namespace {
const std::string kHello = R"(read l; echo '{"name":"s","vocab":50,"context":16,"weights_digest":""}';)";

std::unique_ptr<ProcessSuspect> shell(const std::string& script, std::chrono::milliseconds timeout = 20s, std::function<bool()> stop = {}, std::size_t max_line = 1 << 20) {
  ProcessSuspect::Options options;
  options.hello_timeout = options.reply_timeout = timeout;
  options.stop = std::move(stop);
  options.max_line = max_line;
  return std::move(ProcessSuspect::start({"/bin/sh", "-c", script}, options)).value();
}
// Suites run beside this one in other processes; ours must have no child left.
bool no_child_left() { return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

const GenerateRequest kPrompt{{1, 2, 3}, 4, 99};
}  // namespace

TEST_CASE("a suspect that follows the protocol") {
  auto suspect = shell(kHello + R"(
    read l; [ "$l" = '{"batch":[{"n":4,"prompt":[1,2,3],"seed":99}],"op":"generate","temperature_milli":700}' ] && echo '{"batch": [ {"tokens": [7, 8]} ], "took": 3}'
    read l; [ "$l" = '{"from":1,"op":"score","samples":2,"seed":5,"tokens":[1,2,3],"top":2}' ] && echo '{"positions":[{"top":[[4,100000],[5,3000000]],"samples":[4,4]},{"top":[[9,0]],"samples":[9,9]}]}'
    read l; echo '{"positions":[{"samples":[1]},{"samples":[2],"top":[]}]}'
    cat >/dev/null)");
  const auto hello = suspect->hello();
  REQUIRE(hello.ok());
  CHECK(hello->name == "s");
  CHECK(hello->vocab == 50);
  CHECK(hello->context == 16);
  CHECK(suspect->hello().ok());  // kept: no second request
  const auto texts = suspect->generate({&kPrompt, 1}, 700);
  REQUIRE(texts.ok());
  CHECK((*texts)[0] == std::vector<TokenId>{7, 8});
  const auto scores = suspect->score({{1, 2, 3}, 1, 2, 2, 5});
  REQUIRE(scores.ok());
  CHECK((*scores)[0] == ScoredPosition{{{4, 100000}, {5, 3000000}}, {4, 4}});
  CHECK((*scores)[1] == ScoredPosition{{{9, 0}}, {9, 9}});
  CHECK(suspect->score({{1, 2, 3}, 1, 0, 1, 5}).ok());
  suspect.reset();
  CHECK(no_child_left());
}

TEST_CASE("a dead suspect is told with its exit status and last words") {
  auto suspect = shell(kHello + "echo loading >&2; echo 'cannot read model.bin' >&2; exit 7");
  REQUIRE(suspect->hello().ok());
  const auto texts = suspect->generate({&kPrompt, 1}, 1000);
  REQUIRE(!texts.ok());
  CHECK(texts.error().code == ErrorCode::io);
  CHECK(texts.error().message == "the suspect /bin/sh ended with exit status 7: cannot read model.bin");
  CHECK(!suspect->generate({&kPrompt, 1}, 1000).ok());  // still no crash
  suspect.reset();
  CHECK(no_child_left());
}

TEST_CASE("a suspect ended by a signal is told with the signal") {
  auto suspect = shell(kHello + "kill -9 $$");
  REQUIRE(suspect->hello().ok());
  const auto texts = suspect->generate({&kPrompt, 1}, 1000);
  REQUIRE(!texts.ok());
  CHECK(texts.error().message == "the suspect /bin/sh was ended by signal 9; it wrote nothing on standard error");
}

TEST_CASE("a program that cannot be run is an error at once") {
  const auto started = ProcessSuspect::start({"/no/such/program"});
  REQUIRE(!started.ok());
  CHECK(started.error().message == "cannot run the suspect's program /no/such/program: No such file or directory");
  CHECK(!ProcessSuspect::start({}).ok());
  CHECK(no_child_left());
}

TEST_CASE("a suspect that says nothing runs into the time limit and is ended") {
  const auto begin = std::chrono::steady_clock::now();
  auto suspect = shell("trap '' TERM; echo busy >&2; while :; do sleep 1; done", 300ms);
  const auto hello = suspect->hello();
  REQUIRE(!hello.ok());
  CHECK(hello.error().message == "the suspect /bin/sh gave no answer within 300 ms; its last words: busy");
  suspect.reset();  // it ignores SIGTERM
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
  CHECK(no_child_left());
}

TEST_CASE("waiting for a suspect can be stopped") {
  int asked = 0;
  auto suspect = shell("sleep 60", 30s, [&] { return ++asked > 2; });
  const auto hello = suspect->hello();
  REQUIRE(!hello.ok());
  CHECK(hello.error().code == ErrorCode::stopped);
}

TEST_CASE("a closed standard input of the suspect does not end us") {
  struct sigaction before{};
  sigaction(SIGPIPE, nullptr, &before);
  auto suspect = shell(kHello + "exec 0<&-; sleep 0.3; exit 3");
  REQUIRE(suspect->hello().ok());
  std::vector<GenerateRequest> big(4000, kPrompt);  // more than a pipe holds
  CHECK(!suspect->generate(big, 1000).ok());
  struct sigaction after{};
  sigaction(SIGPIPE, nullptr, &after);
  CHECK(before.sa_handler == after.sa_handler);
}

TEST_CASE("large requests and replies cross without a deadlock") {
  // cat answers while we still write, and floods its standard error meanwhile.
  auto suspect = shell(kHello + R"(head -c 300000 /dev/zero | tr '\0' 'x' >&2; read l; printf '{"batch":['; i=0
    while [ $i -lt 2000 ]; do [ $i -gt 0 ] && printf ,; printf '{"tokens":[1,2,3,4]}'; i=$((i+1)); done; echo ']}'; cat >/dev/null)");
  REQUIRE(suspect->hello().ok());
  std::vector<GenerateRequest> big(2000, kPrompt);
  const auto texts = suspect->generate(big, 1000);
  REQUIRE(texts.ok());
  CHECK(texts->size() == 2000);
}

TEST_CASE("a line without end is cut off at the limit") {
  auto suspect = shell("read l; while :; do printf xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", 20s, {}, 10'000);
  const auto hello = suspect->hello();
  REQUIRE(!hello.ok());
  CHECK(hello.error().message == "the suspect /bin/sh sent a line of more than 10000 bytes");
}

TEST_CASE("the suspect runs where it is told to") {
  const auto folder = std::filesystem::temp_directory_path() / ("heirmark-suspect-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  std::ofstream(folder / "answer") << R"({"name":"from the folder","vocab":50,"context":16})" << "\n";
  ProcessSuspect::Options options;
  options.directory = folder;
  auto suspect = ProcessSuspect::start({"/bin/sh", "-c", "read l; cat answer"}, options);
  REQUIRE(suspect.ok());
  CHECK((*suspect)->hello()->name == "from the folder");
  std::filesystem::remove_all(folder);
}

TEST_CASE("a suspect inherits its three streams and nothing else") {
  // One that can be read again, as a passphrase's file, and one far up.
  std::FILE* const secret = std::tmpfile();
  REQUIRE(secret != nullptr);
  const int here = fcntl(fileno(secret), F_DUPFD, 3), high = fcntl(fileno(secret), F_DUPFD, 200);
  REQUIRE(here > 2);
  REQUIRE(high >= 200);
  auto suspect = shell(R"(read l; found=; for fd in $(seq 3 255); do [ -e /proc/$$/fd/$fd ] && found="$found $fd"; done; echo '{"name":"has'"$found"'","vocab":50,"context":16}'; cat >/dev/null)");
  const auto hello = suspect->hello();
  REQUIRE(hello.ok());
  CHECK(hello->name == "has");
  CHECK(fcntl(here, F_GETFD) == 0);  // ours are as they were
  for (const int fd : {here, high}) close(fd);
  std::fclose(secret);
}

TEST_CASE("a bad hello is refused") {
  const auto [reply, message] = GENERATE(table<std::string, std::string>({
      {"hello", "the suspect's reply"},
      {"[]", "the suspect's reply"},
      {R"({"error":"no GPU"})", "the suspect says: no GPU"},
      {R"({"error":""})", "the suspect says that there was an error, and not which"},
      {R"({"error":5})", "the suspect's reply: field \"error\": expected a string, found an integer"},
      {R"({"error":null})", "field \"error\": expected a string, found null"},
      {R"({"name":"s","vocab":0,"context":16})", "vocab"},
      {R"({"name":"s","vocab":1048577,"context":16})", "vocab"},
      {R"({"name":"s","vocab":5,"context":0})", "context"},
      {R"({"name":"","vocab":5,"context":16})", "name"},
      {R"({"vocab":5,"context":16})", "name"},
      {R"({"name":"s","vocab":5.5,"context":16})", "vocab"},
      {R"({"name":"s","vocab":5,"context":16,"weights_digest":"xyz"})", "weights_digest"},
  }));
  auto suspect = shell("read l; cat <<'END'\n" + reply + "\nEND\ncat >/dev/null");
  const auto hello = suspect->hello();
  REQUIRE(!hello.ok());
  INFO(hello.error().message);
  CHECK(hello.error().message.find(message) != std::string::npos);
}

TEST_CASE("a bad text is refused") {
  const auto [reply, message] = GENERATE(table<std::string, std::string>({
      {R"({"batch":[]})", "0 texts for 1 prompts"},
      {R"({"batch":[{"tokens":[1]},{"tokens":[1]}]})", "2 texts for 1 prompts"},
      {R"({"batch":[{"tokens":[1,2,3,4,5]}]})", "has 5 tokens, not at most 4"},
      {R"({"batch":[{"tokens":[50]}]})", "token 50 is not below the vocabulary's 50"},
      {R"({"batch":[{"tokens":[-1]}]})", "tokens"},
      {R"({"batch":[{"tokens":[1.0]}]})", "the suspect's reply"},
      {R"({"batch":[{"tokens":"1"}]})", "tokens"},
      {R"({"batch":[7]})", "text 0"},
      {R"({"positions":[]})", "batch"},
      {R"({"batch":[{"tokens":[1]}],"batch":[{"tokens":[1]}]})", "the suspect's reply"},
  }));
  auto suspect = shell(kHello + "read l; cat <<'END'\n" + reply + "\nEND\ncat >/dev/null");
  const auto texts = suspect->generate({&kPrompt, 1}, 1000);
  REQUIRE(!texts.ok());
  INFO(texts.error().message);
  CHECK(texts.error().message.find(message) != std::string::npos);
}

TEST_CASE("a bad score is refused") {
  const auto [reply, message] = GENERATE(table<std::string, std::string>({
      {R"({"positions":[]})", "0 positions, not 1"},
      {R"({"positions":[{"top":[],"samples":[1]}]})", "position 0"},
      {R"({"positions":[{"top":[[1,5],[2,2000000],[3,3000000]],"samples":[1]}]})", "position 0"},
      {R"({"positions":[{"top":[[1,900000],[2,800000]],"samples":[1]}]})", "position 0"},
      {R"({"positions":[{"top":[[1,900000],[1,900000]],"samples":[1]}]})", "position 0"},
      {R"({"positions":[{"top":[[50,900000]],"samples":[1]}]})", "position 0"},
      {R"({"positions":[{"top":[[1,-1]],"samples":[1]}]})", "position 0"},
      {R"({"positions":[{"top":[[1,2147483648]],"samples":[1]}]})", "position 0"},
      {R"({"positions":[{"top":[[1,10000],[2,10000]],"samples":[1]}]})", "sum to"},
      {R"({"positions":[{"top":[[1,5]],"samples":[]}]})", "position 0"},
      {R"({"positions":[{"top":[[1,5]],"samples":[1,2]}]})", "position 0"},
      {R"({"positions":[{"top":[[1,5]],"samples":[50]}]})", "position 0"},
      {R"({"positions":[{"top":[[1,5]]}]})", "samples"},
      {R"({"positions":[{"top":[[1]],"samples":[1]}]})", "position 0"},
  }));
  auto suspect = shell(kHello + "read l; cat <<'END'\n" + reply + "\nEND\ncat >/dev/null");
  const auto scores = suspect->score({{1, 2}, 1, 2, 1, 5});
  REQUIRE(!scores.ok());
  INFO(scores.error().message);
  CHECK(scores.error().message.find(message) != std::string::npos);
}

TEST_CASE("what cannot be asked is refused before it is sent") {
  auto suspect = shell(kHello + "cat >/dev/null");
  REQUIRE(suspect->hello().ok());
  const GenerateRequest too_long{std::vector<TokenId>(13, 1), 4, 0}, bad_seed{{1}, 4, 1ull << 48}, bad_token{{50}, 4, 0};
  CHECK(suspect->generate({&too_long, 1}, 1000).error().message == "a prompt of 13 tokens and a text of 4 do not fit the suspect's context of 16");
  CHECK(suspect->generate({&bad_seed, 1}, 1000).error().code == ErrorCode::usage);
  CHECK(suspect->generate({&bad_token, 1}, 1000).error().code == ErrorCode::bad_input);
  CHECK(suspect->score({std::vector<TokenId>(17, 1), 0, 1, 0, 0}).error().code == ErrorCode::usage);
  CHECK(suspect->score({{1}, 2, 1, 0, 0}).error().code == ErrorCode::usage);
}

TEST_CASE("suspect.json is read strictly") {
  SuspectInfo info{"student b", 50, {"./student", "model.bin"}, "2026-12-01", std::string(64, 'a')};
  const std::string bytes = info.bytes();
  const auto again = SuspectInfo::parse(bytes);
  REQUIRE(again.ok());
  CHECK(again->bytes() == bytes);
  CHECK(again->command == info.command);
  const auto broken = [&](const std::string& from, const std::string& to) {
    std::string changed = bytes;
    changed.replace(changed.find(from), from.size(), to);
    return !SuspectInfo::parse(changed).ok();
  };
  CHECK(broken("\"vocab\":50", "\"vocab\": 50"));
  CHECK(broken("\"vocab\":50", "\"vocab\":0"));
  CHECK(broken("\"vocab\":50", "\"vocab\":50,\"x\":1"));
  CHECK(broken("2026-12-01", "2026-02-29"));
  CHECK(broken("process", "endpoint"));
  CHECK(broken("[\"./student\",\"model.bin\"]", "[]"));
  CHECK(broken("\n", ""));
}
