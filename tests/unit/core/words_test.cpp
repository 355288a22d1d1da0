// The blocks of every instruction set against the scalar block function.
#include <catch2/catch.hpp>

#include <random>
#include <string>
#include <vector>

#include "core/words.hpp"

using namespace heirmark::core;

TEST_CASE("blocks of every instruction set equal the block function") {
  std::mt19937_64 random(20261102);
  for (const InstructionSet set : kInstructionSets) {
    if (!can_run(set)) continue;
    INFO(name(set));
    const BlocksFunction blocks = blocks_function(set);
    for (const std::size_t count : {0u, 1u, 2u, 7u, 8u, 9u, 15u, 16u, 17u, 31u, 64u, 127u, 128u, 129u}) {
      for (const std::uint64_t first : std::initializer_list<std::uint64_t>{0, 5, 0xFFFFFFF8u, random()}) {
        KeyWords row{};
        for (auto& word : row.w) word = static_cast<std::uint32_t>(random());
        std::vector<std::uint32_t> out(kBlockWords * (count + 1), 0xABADCAFEu);  // one block too many, to catch writes beyond
        blocks(row, kBinsFine, first, count, out.data());
        for (std::size_t i = 0; i < count; ++i) {
          std::uint32_t expected[16];
          stream_block(row, kBinsFine, first + i, expected);
          REQUIRE(std::vector(expected, expected + 16) == std::vector(out.begin() + static_cast<std::ptrdiff_t>(16 * i), out.begin() + static_cast<std::ptrdiff_t>(16 * i + 16)));
        }
        for (std::size_t i = 0; i < kBlockWords; ++i) REQUIRE(out[kBlockWords * count + i] == 0xABADCAFEu);
      }
    }
  }
}

TEST_CASE("an instruction set can be forced, and let go") {
  const InstructionSet best = instruction_set();
  force_instruction_set(InstructionSet::portable);
  CHECK(instruction_set() == InstructionSet::portable);
  force_instruction_set(std::nullopt);
  CHECK(instruction_set() == best);
  CHECK(can_run(best));
  CHECK(std::string(name(InstructionSet::avx2)) == "avx2");
}
