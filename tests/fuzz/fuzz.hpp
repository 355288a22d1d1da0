// What every fuzz target shares. A target is a function of bytes that ends the process when a promise is broken:
//
//   FUZZ_TARGET(plan) { round_trip<Plan>(input.rest()); }
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/result.hpp>

namespace heirmark::fuzz {

/// The bytes of one run, taken piece by piece from the front. Past the end everything is zero.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::uint32_t word() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | byte();
    return value;
  }
  float real() {
    const std::uint32_t bits = word();
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  std::span<const std::uint8_t> take(std::size_t count) {
    const auto out = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(out.size());
    return out;
  }
  /// All that is left.
  std::string_view rest() {
    const std::string_view out(reinterpret_cast<const char*>(bytes_.data()), bytes_.size());
    bytes_ = {};
    return out;
  }
  [[nodiscard]] std::size_t left() const { return bytes_.size(); }

 private:
  std::span<const std::uint8_t> bytes_;
};

/// Ends the process, so that libFuzzer and ctest both see it. On in every build type.
inline void require(bool good, std::string_view what, std::string_view more = "") {
  if (good) return;
  std::fprintf(stderr, "broken promise: %.*s: %.*s\n", static_cast<int>(what.size()), what.data(), static_cast<int>(more.size()), more.data());
  std::abort();
}

/// A refusal is one line for a person: not empty, of bounded length, without bytes that a terminal would obey, and it says where: `names`
/// is the file or object that stands in it.
inline void check_error(const Error& error, std::string_view names = {}) {
  require(error.code == ErrorCode::bad_input || error.code == ErrorCode::invalid_evidence || error.code == ErrorCode::key || error.code == ErrorCode::usage ||
              error.code == ErrorCode::io,
          "an error has a code", error.message);
  require(!error.message.empty() && error.message.size() < 8192, "an error has a message of bounded length", error.message.substr(0, 200));
  require(names.empty() || error.message.find(names) != std::string::npos, "an error names its place", error.message);
  for (const char c : error.message) require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "an error is printable", error.message);
}

/// T::parse of bytes: what is accepted is written back byte for byte, what is refused says why.
template <class T>
void round_trip(std::string_view bytes, std::string_view names) {
  const auto value = T::parse(bytes);
  if (!value) return check_error(value.error(), names);
  require(value->bytes() == bytes, "parse then bytes() gives the same bytes", names);
}

/// A folder of this process in memory, made once and removed at its end.
class Scratch {
 public:
  Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, std::string_view bytes) const;

 private:
  std::filesystem::path path_;
};

using Run = void (*)(Input&);
struct Target { const char* name; Run run; };
std::vector<Target>& targets();
struct Registration {
  Registration(const char* name, Run run) { targets().push_back({name, run}); }
};

}  // namespace heirmark::fuzz

#define FUZZ_TARGET(name)                                                  \
  static void fuzz_##name(::heirmark::fuzz::Input& input);                 \
  static const ::heirmark::fuzz::Registration registered(#name, fuzz_##name); \
  static void fuzz_##name(::heirmark::fuzz::Input& input)
