#include "batch.hpp"

#include <cmath>
#include <cstring>

namespace heirmark::gpu {
namespace {
void make_logits(Random& random, unsigned kind, std::vector<float>& row) {
  const auto vocab = static_cast<std::uint32_t>(row.size());
  if (kind < kShapes) {
    row = test::make_row(random, static_cast<test::Shape>(kind), vocab);
    return;
  }
  const auto special = static_cast<std::uint32_t>(random() % vocab);
  for (std::uint32_t v = 0; v < vocab; ++v) {
    float x = 0;
    switch (static_cast<Extra>(kind - kShapes)) {
      case Extra::all_nan: x = test::kNan; break;
      case Extra::all_minus_infinity: x = -test::kInf; break;
      case Extra::infinity: x = v == special ? test::kInf : test::normal(random); break;
      case Extra::infinities: x = v == special || random() % 16 == 0 ? test::kInf : -test::kInf; break;
      case Extra::all_least: x = -test::kMax; break;
      case Extra::least_but_one: x = v == special ? -test::kMax : random() % 2 == 0 ? -test::kInf : test::kNan; break;
      case Extra::last_only: x = v + 1 == vocab ? -2.0f : -test::kInf; break;
      case Extra::first_only: x = v == 0 ? 1.5f : test::kNan; break;
      case Extra::signed_zeros: x = random() % 2 == 0 ? 0.0f : -0.0f; break;
      case Extra::random_bits: {
        const auto bits = static_cast<std::uint32_t>(random());
        std::memcpy(&x, &bits, sizeof x);
        break;
      }
      case Extra::ties_at_the_cut: x = v % 3 == 0 ? 4.0f : v % 3 == 1 ? 2.0f : test::normal(random); break;
      case Extra::kCount: break;
    }
    row[v] = x;
  }
}

void store(std::byte* place, float x, DType dtype) {
  if (dtype == DType::float32) {
    std::memcpy(place, &x, 4);
  } else {
    const std::uint16_t bits = dtype == DType::bfloat16 ? test::to_bfloat(x) : test::to_half(x);
    std::memcpy(place, &bits, 2);
  }
}

DeviceRow make_row(Random& random, std::uint32_t vocab, int window, std::uint32_t accounts, bool truncation) {
  constexpr float kTemperatures[] = {1, 1, 1, 0.7f, 0.15f, 1.3f, 1e-3f, 1e3f, 2, 0};
  constexpr float kMinPs[] = {0.05f, 1, 1e-6f, 0.2f, 1e-30f}, kTopPs[] = {0.9f, 0.95f, 0.1f, 0.999f, 1e-20f, 0.5f};
  const std::uint32_t top_ks[] = {1, 2, 40, 50, 3000, vocab, vocab + 1, vocab / 2 + 1};
  const auto pick = [&](const auto& list) { return list[random() % std::size(list)]; };
  DeviceRow row;
  row.temperature = pick(kTemperatures);
  if (truncation) {
    if (random() % 4 == 0) row.min_p = pick(kMinPs);
    if (random() % 3 == 0) row.top_k = pick(top_ks);
    if (random() % 3 == 0) row.top_p = pick(kTopPs);
  }
  row.mode = random() % 4 == 0 ? static_cast<std::uint32_t>(random() % 4) : static_cast<std::uint32_t>(Mode::marked);
  row.account_slot = static_cast<std::uint32_t>(random() % accounts);
  row.position = random() % 16 == 0 ? 0xFFFFFFFEu : static_cast<std::uint32_t>(random() % 5000);
  row.window_repeated = random() % 8 == 0 ? 1u << (random() % 32) : 0;
  for (int i = 4 - window; i < 4; ++i) row.window[i] = static_cast<std::uint32_t>(random() % vocab);
  if (random() % 16 == 0) row.window[4 - window] = kNoToken;  // shortly after the beginning of a text
  for (auto& byte : row.request_id.bytes) byte = static_cast<std::uint8_t>(random());
  if (random() % 24 != 0) return row;
  switch (random() % 14) {
    case 0: row.temperature = test::kNan; break;
    case 1: row.temperature = -1; break;
    case 2: row.temperature = 9e-4f; break;
    case 3: row.temperature = test::kInf; break;
    case 4: row.min_p = -0.1f; break;
    case 5: row.min_p = 1.1f; break;
    case 6: row.min_p = test::kNan; break;
    case 7: row.top_p = 0; break;
    case 8: row.top_p = 1.5f; break;
    case 9: row.top_p = test::kNan; break;
    case 10: row.mode = 4; break;
    case 11: row.account_slot = accounts; break;
    case 12: row.account_slot = 0xFFFFFFFFu; break;
    default: row.position = 0xFFFFFFFFu; break;
  }
  return row;
}
}  // namespace

const char* name_of(DType dtype) { return dtype == DType::float32 ? "float32" : dtype == DType::bfloat16 ? "bfloat16" : "float16"; }

const char* name_of_kind(unsigned kind) {
  static const char* const names[] = {"all NaN", "all -inf", "one +inf", "many +inf", "all -FLT_MAX", "all -FLT_MAX but one", "last only", "first only", "signed zeros",
                                      "random bits", "ties at the cut"};
  return kind < kShapes ? test::shape_name(static_cast<test::Shape>(kind)) : names[kind - kShapes];
}

Subkeys make_subkeys(Random& random, std::size_t accounts) {
  const auto secret = [&] {
    std::array<std::uint8_t, 32> bytes{};
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    return Secret32(std::span<const std::uint8_t, 32>(bytes));
  };
  Subkeys keys;
  for (auto& key : keys.window) key = secret();
  keys.coin = secret();
  for (std::size_t i = 0; i < accounts; ++i) keys.issuance.push_back(secret());
  return keys;
}

std::vector<Profile> all_profiles() {
  std::vector<Profile> list(profiles::all().begin(), profiles::all().end());
  list.push_back({.name = "test-wide-greenlist", .scheme = Scheme::greenlist, .window = 1, .share_q32 = 1ull << 31, .gamma_q32 = 0xFFFFFFFFu, .delta_micro = 30'000'000});
  list.push_back({.name = "test-one-layer", .scheme = Scheme::tournament, .window = 3, .share_q32 = 1ull << 31, .layers = 1});
  return list;
}

Batch make_batch(Random& random, std::uint32_t vocab, DType dtype, std::size_t rows, std::size_t distinct, unsigned first_kind, int window, std::uint32_t accounts, bool truncation,
                 const Batch* layout) {
  Batch batch;
  batch.dtype = dtype;
  batch.vocab = vocab;
  const std::size_t size = batch.size(), paddings[] = {0, 0, 1, 5, 64};
  batch.stride = vocab + paddings[random() % std::size(paddings)];
  batch.first = 32 + size * (random() % 2 == 0 ? 0 : random() % 9);
  if (layout != nullptr) {
    batch.stride = layout->stride;
    batch.first = layout->first;
  }
  // The last row ends where the memory ends, up to the granule of 16 bytes that it lies in.
  const std::size_t end = batch.first + size * (batch.stride * (rows - 1) + vocab);
  batch.bytes.resize((end + 15) / 16 * 16);
  for (std::size_t i = 0; i + 4 <= batch.bytes.size(); i += 4) {  // what lies between rows would win if it took part
    const std::uint32_t bits = random() % 2 == 0 ? 0x7F7F7F7Fu : static_cast<std::uint32_t>(random());
    std::memcpy(batch.bytes.data() + i, &bits, 4);
    if (batch.stride == vocab && i > batch.first + 64 && i + 64 < end) i = (end - 64) / 4 * 4;
  }
  std::vector<float> row(vocab);
  for (std::size_t i = 0; i < rows; ++i) {
    std::byte* const place = batch.bytes.data() + batch.first + i * batch.stride * size;
    const auto kind = static_cast<unsigned>((first_kind + i % distinct) % (2 * kKinds));
    // Every second row is real-shaped: crowds of adversarial ones would leave the common path to itself.
    batch.kinds.push_back(kind < kKinds ? kind : static_cast<unsigned>(test::Shape::language));
    if (i < distinct) {
      make_logits(random, batch.kinds.back(), row);
      for (std::uint32_t v = 0; v < vocab; ++v) store(place + v * size, row[v], dtype);
    } else {
      std::memcpy(place, batch.bytes.data() + batch.first + i % distinct * batch.stride * size, vocab * size);
    }
    batch.rows.push_back(make_row(random, vocab, window, accounts, truncation || random() % 64 == 0));
  }
  return batch;
}

}  // namespace heirmark::gpu
