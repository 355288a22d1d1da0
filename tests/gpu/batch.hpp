// What gpu_check samples: batches of logits in one piece of memory, with what each row asks for.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include <heirmark/device_sampler.hpp>

#include "rows.hpp"

namespace heirmark::gpu {

using test::Random;

/// Kinds of rows: those of the CPU's tests, and what only a whole kernel can get wrong.
enum class Extra { all_nan, all_minus_infinity, infinity, infinities, all_least, least_but_one, last_only, first_only, signed_zeros, random_bits, ties_at_the_cut, kCount };
constexpr unsigned kShapes = static_cast<unsigned>(test::Shape::kCount), kKinds = kShapes + static_cast<unsigned>(Extra::kCount);
[[nodiscard]] const char* name_of_kind(unsigned kind);
[[nodiscard]] const char* name_of(DType dtype);

[[nodiscard]] Subkeys make_subkeys(Random& random, std::size_t accounts);
/// The profiles that exist, and others at the ends of what a profile may be.
[[nodiscard]] std::vector<Profile> all_profiles();

/// One batch of logits with its rows, as the host holds it.
struct Batch {
  DType dtype = DType::float32;
  std::uint32_t vocab = 0;
  std::size_t stride = 0, first = 0;  ///< elements from row to row; bytes before the first
  std::vector<std::byte> bytes;
  std::vector<DeviceRow> rows;
  std::vector<unsigned> kinds;

  [[nodiscard]] std::size_t size() const { return sampler::bytes_per_logit(dtype); }
  [[nodiscard]] Logits logits(const std::byte* base, std::size_t from, std::size_t count) const { return {base + first + from * stride * size(), dtype, count, stride}; }
  [[nodiscard]] float at(std::size_t row, std::uint32_t v) const { return sampler::logit_at({bytes.data() + first + row * stride * size(), dtype, vocab}, v); }
};

/// `distinct` rows of consecutive kinds, again and again, with parameters of their own each; `layout`: a batch of the same size whose stride and
/// alignment this one takes over.
[[nodiscard]] Batch make_batch(Random& random, std::uint32_t vocab, DType dtype, std::size_t rows, std::size_t distinct, unsigned first_kind, int window, std::uint32_t accounts,
                               bool truncation, const Batch* layout = nullptr);

}  // namespace heirmark::gpu
