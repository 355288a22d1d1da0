// A batch on the CPU as a GPU would see it, and its launch by an executor.
#pragma once
#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/row.hpp"
#include "kernels/shard.hpp"
#include "rows.hpp"
#include "serial_block.hpp"

namespace heirmark::test {

/// Runs the blocks of a launch one after the other, in an arbitrary order.
struct SerialExecutor {
  Random& random;
  SerialBlock::Bend bend;
  template <class Shared, class Program>
  void run(std::uint32_t count, const Program& program) const {
    std::vector<std::uint32_t> blocks(count);
    std::iota(blocks.begin(), blocks.end(), 0u);
    std::shuffle(blocks.begin(), blocks.end(), random);
    const auto shared = std::make_unique<Shared>();
    for (const std::uint32_t block : blocks) {
      std::memset(static_cast<void*>(shared.get()), 0xFF, sizeof(Shared));
      SerialBlock x(random(), bend);
      program(x, block, *shared);
    }
  }
};

/// Keys and rows of logits in one buffer, at addresses and strides of any alignment that the type allows.
struct World {
  World(Random& random, std::uint32_t vocab_size, DType type, std::size_t shift_elements, std::size_t padding) : vocab(vocab_size), dtype(type), shift(shift_elements) {
    for (auto& key : table.window) key = random_key(random);
    table.coin = random_key(random);
    table.nobodys = random_key(random);
    for (int i = 0; i < 3; ++i) accounts.push_back(random_key(random));
    table.accounts = static_cast<std::uint32_t>(accounts.size());
    table.issuance = accounts.data();
    stride = vocab + padding;
  }

  void add(const std::vector<float>& logits, const DeviceRow& row) {
    const Stored stored = store(logits, dtype, 0);
    values.push_back(stored.values());
    contents.push_back(stored.bytes);
    rows.push_back(row);
  }

  /// All blocks of a launch. Memory that the launch must write is poisoned before. `lean` is wanted where no row needs the full program.
  template <class Executor>
  std::vector<Sampled> launch(const Executor& executor, kernels::Scheme scheme, std::uint32_t processors, bool log_probs, bool lean, std::vector<TopTokens>* top = nullptr) {
    const std::size_t size = sampler::bytes_per_logit(dtype);
    // 16 bytes of room on both sides: a packet may begin before a row, inside the same 16-byte granule.
    std::vector<std::byte> memory(size * (shift + stride * rows.size()) + 64, std::byte{0xFF});
    std::byte* base = memory.data() + (32 - reinterpret_cast<std::uintptr_t>(memory.data()) % 16) + size * shift;
    for (std::size_t i = 0; i < rows.size(); ++i) std::memcpy(base + i * stride * size, contents[i].data(), contents[i].size());
    kernels::Batch batch;
    batch.logits = base;
    batch.row_bytes = stride * size;
    batch.rows = static_cast<std::uint32_t>(rows.size());
    batch.vocab = vocab;
    batch.row = rows.data();
    batch.keys = &table;
    batch.scheme = scheme;
    batch.shape = kernels::shape_for(batch.rows, vocab, processors);
    batch.log_probs = log_probs;
    std::vector<std::uint32_t> tickets(rows.size());
    std::vector<kernels::SliceResult> slices(rows.size() * kernels::kMaxSlices);
    std::memset(static_cast<void*>(slices.data()), 0xFF, slices.size() * sizeof slices[0]);
    std::vector<float> delegates(rows.size() * batch.shape.delegates(), std::numeric_limits<float>::quiet_NaN());
    std::vector<kernels::PlayMemory> plays(rows.size());
    std::memset(static_cast<void*>(plays.data()), 0xFF, plays.size() * sizeof plays[0]);  // sums: NaN
    batch.workspace = {tickets.data(), slices.data(), scheme.kind == Scheme::tournament ? plays.data() : nullptr, delegates.data()};
    std::vector<Sampled> out(rows.size(), Sampled{0xDEADBEEFu, RowStatus::bad_parameter, -1.0f});
    batch.out = out.data();
    if (top != nullptr) {
      TopTokens poison;
      for (auto& entry : poison.token) entry = {0xDEADBEEFu, 0xDEADBEEFu};
      top->assign(rows.size(), poison);
      batch.top = top->data();
    }

    const auto truncates = [&](const DeviceRow& row) { return kernels::truncates(kernels::limits_of(row, batch.vocab)); };
    batch.truncation = !refuse_truncation && (std::any_of(rows.begin(), rows.end(), truncates) || !lean);
    const auto run = [&]<bool kFull>(auto& x, std::uint32_t block, auto& shared) {
      const std::uint32_t index = block / batch.shape.slices(), slice = block % batch.shape.slices();
      switch (dtype) {
        case DType::float32: return kernels::sample_slice<DType::float32, kFull>(x, batch, index, slice, shared);
        case DType::bfloat16: return kernels::sample_slice<DType::bfloat16, kFull>(x, batch, index, slice, shared);
        case DType::float16: return kernels::sample_slice<DType::float16, kFull>(x, batch, index, slice, shared);
      }
    };
    const std::uint32_t blocks = batch.rows * batch.shape.slices();
    if (batch.needs_full()) {
      executor.template run<kernels::SharedTruncate>(blocks, [&](auto& x, std::uint32_t block, auto& shared) { run.template operator()<true>(x, block, shared); });
    } else {
      executor.template run<kernels::Shared>(blocks, [&](auto& x, std::uint32_t block, auto& shared) { run.template operator()<false>(x, block, shared); });
    }
    for (const std::uint32_t ticket : tickets)
      if (ticket != 0) std::abort();  // a launch leaves its tickets as it found them
    return out;
  }

  /// The three steps on ranks that hold the columns between `cuts` (from 0 to vocab), with what they exchange gathered in between. `lost`: before the second
  /// step all logits become NaN.
  template <class Executor>
  std::vector<Sampled> launch_sharded(const Executor& executor, kernels::Scheme scheme, const std::vector<std::uint32_t>& cuts, bool lost = false) {
    const std::size_t size = sampler::bytes_per_logit(dtype);
    kernels::ShardBatch batch;
    batch.rows = static_cast<std::uint32_t>(rows.size());
    batch.vocab = vocab;
    batch.ranks = static_cast<std::uint32_t>(cuts.size() - 1);
    for (std::uint32_t r = 0; r < batch.ranks; ++r) batch.largest = std::max(batch.largest, cuts[r + 1] - cuts[r]);
    batch.row = rows.data();
    batch.keys = &table;
    batch.scheme = scheme;
    const std::uint64_t pick_bytes = kernels::shard_pick_bytes(batch.largest);
    std::vector<kernels::ShardSums> sums(batch.ranks * rows.size());
    std::memset(static_cast<void*>(sums.data()), 0xFF, sums.size() * sizeof sums[0]);
    std::vector<std::uint64_t> picks(batch.ranks * rows.size() * pick_bytes / sizeof(std::uint64_t), ~std::uint64_t{0});
    std::vector<Sampled> out(rows.size(), Sampled{0xDEADBEEFu, RowStatus::bad_parameter, -1.0f});
    for (const bool picking : {false, true})
      for (std::uint32_t r = 0; r < batch.ranks; ++r) {
        batch.begin = cuts[r];
        batch.size = cuts[r + 1] - cuts[r];
        batch.row_bytes = (batch.size + 3) * size;
        // Its own memory, at any alignment of the type; 16 bytes of room on both sides.
        std::vector<std::byte> memory(batch.row_bytes * rows.size() + 64, std::byte{0xFF});
        std::byte* base = memory.data() + (32 - reinterpret_cast<std::uintptr_t>(memory.data()) % 16) + size * (r % 5);
        for (std::size_t i = 0; i < rows.size() && !(picking && lost); ++i) std::memcpy(base + i * batch.row_bytes, contents[i].data() + batch.begin * size, batch.size * size);
        batch.logits = base;
        batch.own_sums = sums.data() + r * rows.size();
        batch.sums = sums.data();
        batch.own_pick = reinterpret_cast<std::byte*>(picks.data()) + r * rows.size() * pick_bytes;
        executor.template run<kernels::ShardShared>(batch.rows, [&](auto& x, std::uint32_t i, auto& shared) {
          const auto run = [&]<DType D>() { picking ? kernels::shard_pick<D>(x, batch, i, shared) : kernels::shard_sum<D>(x, batch, i, shared); };
          if (dtype == DType::float32) run.template operator()<DType::float32>();
          else if (dtype == DType::bfloat16) run.template operator()<DType::bfloat16>();
          else run.template operator()<DType::float16>();
        });
      }
    batch.picks = reinterpret_cast<const std::byte*>(picks.data());
    batch.out = out.data();
    executor.template run<kernels::ShardShared>(batch.rows, [&](auto& x, std::uint32_t i, auto& shared) { kernels::shard_draw(x, batch, i, shared); });
    return out;
  }

  kernels::KeyTable table;
  std::vector<core::KeyWords> accounts;
  std::uint32_t vocab;
  DType dtype;
  std::size_t shift, stride = 0;
  bool refuse_truncation = false;  ///< launch as one that was promised that no row truncates
  std::vector<DeviceRow> rows;
  std::vector<std::vector<float>> values;  ///< what is really stored
  std::vector<std::vector<std::byte>> contents;
};

}  // namespace heirmark::test
