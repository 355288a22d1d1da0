// Model files: magic, six sizes, the weights as little-endian float32, and the SHA-256 of all before it.
#include <openssl/evp.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "files.hpp"
#include "model.hpp"

namespace quickstart {
namespace {

static_assert(std::endian::native == std::endian::little, "model files are little-endian");
constexpr std::string_view kMagic = "QSLM0001";
constexpr std::size_t kHead = 8 + 6 * 4;
constexpr std::size_t kDigest = 32;

std::string head_of(const ModelConfig& c) {
  const std::array<std::uint32_t, 6> sizes{c.vocab, c.width, c.layers, c.heads, c.hidden, c.context};
  std::string head(kMagic);
  head.append(reinterpret_cast<const char*>(sizes.data()), sizeof sizes);
  return head;
}

std::string bytes_of(const ModelConfig& config, std::span<const float> weights) {
  std::string bytes = head_of(config);
  bytes.append(reinterpret_cast<const char*>(weights.data()), weights.size_bytes());
  return bytes;
}

std::string sha256(std::string_view bytes) {
  std::string digest(kDigest, '\0');
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size, EVP_sha256(), nullptr);
  return digest;
}

}  // namespace

std::string Model::digest() const {
  std::string hex;
  for (const char c : sha256(bytes_of(config_, weights_))) {
    const auto byte = static_cast<unsigned char>(c);
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

Result<void> Model::save(const std::filesystem::path& file) const {
  std::string bytes = bytes_of(config_, weights_);
  bytes += sha256(bytes);
  return write_file(file, bytes);
}

Result<Model> Model::load(const std::filesystem::path& file) {
  const auto bad = [&](const char* what) { return heirmark::Error{ErrorCode::bad_input, file.string() + ": " + what}; };
  auto read = read_file(file);
  if (!read) return std::move(read).error();
  const std::string_view bytes = *read;
  if (bytes.size() < kHead + kDigest || bytes.substr(0, kMagic.size()) != kMagic)
    return bad("not a model of this program");
  std::array<std::uint32_t, 6> sizes{};
  std::memcpy(sizes.data(), bytes.data() + kMagic.size(), sizeof sizes);
  const ModelConfig config{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]};
  if (auto ok = config.check(); !ok) return std::move(ok).error().at(file.string());
  const std::size_t count = Layout(config).total;
  if (bytes.size() != kHead + count * sizeof(float) + kDigest) return bad("the file's size does not fit its header");
  if (sha256(bytes.substr(0, bytes.size() - kDigest)) != bytes.substr(bytes.size() - kDigest))
    return bad("the digest does not match");
  Floats weights(count);
  std::memcpy(weights.data(), bytes.data() + kHead, count * sizeof(float));
  for (const float w : weights) {
    if (!std::isfinite(w)) return bad("a weight is not a finite number");
  }
  return Model(config, std::move(weights));
}

}  // namespace quickstart
