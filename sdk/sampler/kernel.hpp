// The loops over a row, once for each instruction set. Bounds may differ between them; everything that decides a token is exact
// and the same: a bound only says which bins need not be looked at.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/context.hpp"
#include "core/dispatch.hpp"
#include "core/words.hpp"
#include "sampler/row.hpp"

namespace heirmark::sampler {

inline constexpr std::uint32_t kMaxPerBin = kMaxVocab / core::kBins;  ///< tokens in one bin

/// How logits become exponents: e^((x - reference) / T) = 2^((x - reference) * per_logit), per_logit = log2(e) / T.
struct Scale {
  float reference = 0;  ///< some finite logit of the row
  float per_logit = 1;
};

/// What a pass over the row found.
struct Pass {
  float greatest = 0;  ///< greatest logit, NaN ignored; -inf: none is finite; +inf: one is
  double total = 0;    ///< sums only: sum of e^((x - reference) / T) within 1e-5 of itself
};

struct Kernel {
  core::BlocksFunction blocks;

  /// Greatest of a few logits spread over the row; NaN ignored.
  float (*glance)(const RowView& row);
  /// Greatest logit; NaN ignored, -inf if there is none else.
  float (*greatest)(const RowView& row);
  /// Smallest id whose logit equals `value`, which occurs.
  std::uint32_t (*find)(const RowView& row, float value);

  /// upper[b] >= the sum of e^((x - reference) / T) over bin b, and at most 1.07 times it or 2^-110, by the integer image of the
  /// exponential. Holds if (greatest - reference) / T <= kReach; the caller asks again with another reference if not.
  Pass (*bounds)(const RowView& row, const Scale& scale, float* upper);
  /// The same from a real exponential: upper[b] within 3e-5 of the sum (2e-5 of a term, 4.2e-6 for 70 additions in float32, 1e-6 for x / T in
  /// double) or 2^-112, and `total`; Kernel::near says it more closely. Holds under the same condition, and if |greatest / T| <=
  /// kExactRange; beyond that the sum in double, which decides, is itself no closer to the truth.
  Pass (*sums)(const RowView& row, const Scale& scale, float* upper);
  /// `total` over the logits from a threshold up.
  double (*total_from)(const RowView& row, const Scale& scale, float threshold, float* scratch);

  /// upper[b] *= factor on bins whose word is below gamma.
  void (*boost)(float* upper, const std::uint32_t* words, std::uint32_t gamma, float factor);
  /// The bin that seems to win the race: about the least of word / upper.
  std::uint32_t (*front_runner)(const std::uint32_t* words, const float* upper);
  /// Bins that may have E_b <= limit * upper[b], in ascending order. Returns their number.
  std::uint32_t (*contenders)(const std::uint32_t* words, const float* upper, float limit, std::uint16_t* bins);

  /// masses[j] = e_v of token v = bin + 2048 j, relative to the greatest logit. Returns how many.
  std::uint32_t (*exact_bin)(const RowView& row, double temperature, float greatest, std::uint32_t bin, double* masses);
  /// e_v of logits that are not NaN, as exact_bin gives them.
  void (*exact_values)(const float* logits, std::uint32_t count, double temperature, float greatest, double* values);
  /// S_b of all 2,048 bins, exactly as the reference sums them.
  void (*exact_masses)(const RowView& row, double temperature, float greatest, double* masses);
  /// tournament::play.
  void (*play)(double* masses, const std::uint32_t* words, int layers, double* scratch);
  /// Masses of sum 1, nearly, and the relative error of each, from `sums` that (greatest - reference) / T = `above` powers of two and `total` belong to. Beside its
  /// error a mass may be off by kNearRest.
  void (*near)(const float* sums, std::uint32_t vocab, float above, double total, float* masses, float* errors);
  /// tournament::play on masses that are near: from relative errors and `rest`, what each may be off by beside, to the same afterwards, up to a factor common to all.
  /// upper[b]: the most that mass b can be, within a few roundings. False if the errors grew beyond use.
  bool (*play_near)(float* masses, float* errors, const std::uint32_t* words, int layers, double& rest, float* upper);

  /// Tokens with threshold <= logit < end, in ascending order of id. Returns their number, or some number above `most` once it is. `ids` and
  /// `logits` hold vocab entries and kSpare more.
  std::uint32_t (*collect)(const RowView& row, float threshold, float end, std::uint32_t most, std::uint32_t* ids, float* logits);
  /// The greatest logit of each of many disjoint groups of about `group` tokens; NaN as -inf. Returns the number of groups; at most
  /// `vocab` of them. Every k-th greatest of these is at most the k-th greatest logit.
  std::uint32_t (*delegates)(const RowView& row, std::uint32_t group, float* out);
};

inline constexpr std::uint32_t kSpare = 16;  ///< entries that a whole vector may write beyond the last one
inline constexpr double kReach = 40.0;      ///< nats
inline constexpr double kNearRest = 0x1p-99;
inline constexpr double kExactRange = 0x1p30;
inline constexpr double kUpperSlack = 1e-4; ///< relative: what float32 sums of 512 terms may lose

[[nodiscard]] const Kernel& kernel(core::InstructionSet set) noexcept;
extern const Kernel kKernelPortable;
extern const Kernel kKernelAvx2;    ///< defined on x86-64 only
extern const Kernel kKernelAvx512;  ///< defined on x86-64 only

}  // namespace heirmark::sampler
