// The emulator computes what a device does, and finds what a kernel must not do.
#include "emulator.hpp"

#include <cuda_runtime_api.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "arithmetic.cuh"
#include "block.hpp"
#include "faults.hpp"
#include "operations.hpp"
#include "ptx.hpp"

namespace heirmark::emulator {
namespace {
constexpr std::size_t kWords = 64, kDefined = 32;

/// A device as new, with 64 words of which 32 are zero and 32 undefined.
class Memory {
 public:
  Memory() {
    REQUIRE(cudaDeviceReset() == cudaSuccess);
    REQUIRE(cudaMalloc(&words_, kWords * 4) == cudaSuccess);
    REQUIRE(cudaMemset(words_, 0, kDefined * 4) == cudaSuccess);
  }
  [[nodiscard]] std::uint32_t* words() const { return static_cast<std::uint32_t*>(words_); }
  [[nodiscard]] std::vector<std::uint32_t> read(std::size_t count = kDefined) const {
    std::vector<std::uint32_t> all(count);
    REQUIRE(cudaMemcpy(all.data(), words_, count * 4, cudaMemcpyDeviceToHost) == cudaSuccess);
    return all;
  }

 private:
  void* words_ = nullptr;
};

std::uint32_t as_calls_do(std::uint32_t t) {
  std::uint32_t x = t;
  for (std::uint32_t i = 0; i < t % 5; ++i) x = (x + i) % 2 == 0 ? x + i : 2 * (x + i);
  return x;
}
}  // namespace

TEST_CASE("What is right runs and gives what it should") {
  const auto run = [](Deed deed) {
    const Memory memory;
    const cudaError_t error = commit(deed, memory.words());
    INFO(last_fault());
    REQUIRE(error == cudaSuccess);
    return memory.read();
  };
  const auto block = run(Deed::exchange_in_block), warp = run(Deed::exchange_in_warp), called = run(Deed::calls);
  for (std::uint32_t t = 0; t < kDefined; ++t) {
    CHECK(block[t] == (t ^ 32) + 1);
    CHECK(warp[t] == (t ^ 1));
    CHECK(called[t] == as_calls_do(t));
  }
  CHECK(run(Deed::count_together)[0] == 64);
  CHECK(run(Deed::last_block_reads)[1] == 56 + 56);
  CHECK(run(Deed::warp_sum)[0] == 31 * 16);
  CHECK(run(Deed::warp_sum)[1] == 31 * 16);
  const auto leavers = run(Deed::early_leavers);
  CHECK(leavers[7] == 21);
  CHECK(leavers[8] == 0);
}

TEST_CASE("What is wrong is found, with its place, and loses the device") {
  const std::map<Deed, std::string> found{
      {Deed::write_behind_allocation, "in no allocation"},
      {Deed::read_behind_allocation, "in no allocation"},
      {Deed::read_undefined, "before anybody wrote it"},
      {Deed::misaligned, "not aligned to 4 bytes"},
      {Deed::null_pointer, "4 bytes at 0x0 are in no allocation"},
      {Deed::behind_shared_variable, "is of no variable"},
      {Deed::no_barrier, "race: it"},
      {Deed::no_warp_barrier, "race: it reads what thread"},
      {Deed::overwrite_what_others_read, "race: it"},
      {Deed::mixed_with_atomic, "race: it writes where thread"},
      {Deed::atomic_after_plain, "race: it writes where thread"},
      {Deed::read_other_block, "no fence and atomic operation between"},
      {Deed::read_other_block_without_fence, "no fence and atomic operation between"},
      {Deed::barrier_of_some, "wait at different barriers"},
      {Deed::barrier_after_leaving, "a thread has left"},
      {Deed::shuffle_with_absent, "waits for threads that never come"},
      {Deed::stale_cache, "through the cache for constants"},
      {Deed::local_of_another, "local memory of another thread"},
      {Deed::too_many_threads, "more threads in a block"},
  };
  // Every deed from the first wrong one on is here.
  REQUIRE(found.size() == static_cast<std::size_t>(Deed::too_many_threads) - static_cast<std::size_t>(Deed::write_behind_allocation) + 1);
  for (const auto& [deed, text] : found) {
    const Memory memory;
    const std::uint32_t behind[4] = {0, 0, 0, 60};
    REQUIRE(cudaMemcpy(memory.words(), behind, sizeof behind, cudaMemcpyHostToDevice) == cudaSuccess);
    const cudaError_t error = commit(deed, memory.words());
    INFO("deed " << static_cast<int>(deed) << ", expected: " << text << ", said: " << last_fault());
    CHECK(error == cudaErrorLaunchFailure);
    CHECK(last_fault().find(text) != std::string::npos);
    CHECK(last_fault().find("kernel<") != std::string::npos);
    if (deed != Deed::too_many_threads) CHECK(last_fault().find("faults.cu:") != std::string::npos);
    CHECK(cudaMemset(memory.words(), 0, 4) == cudaErrorLaunchFailure);
  }
  CHECK(cudaDeviceReset() == cudaSuccess);
}

TEST_CASE("Arithmetic is the host's") {
  constexpr std::uint32_t kCount = 4096;
  std::mt19937_64 random(7);
  const std::uint64_t special[] = {0, 1, ~std::uint64_t{0}, 0x8000000000000000, 0x80000000, 0x7FFFFFFF, 0xFFFFFFFF, 0x3FF0000000000000, 0x3F800000, 0x7FF0000000000000, 0xFFF0000000000000,
                                   0x7F800000, 0xFF800000, 0x7FF8000000000000, 0x7FC00000, 0x0000000000000001, 0x000FFFFFFFFFFFFF, 0x00000001, 0x007FFFFF, 0x00800000, 0x380FFFFFE0000000};
  std::vector<std::uint64_t> inputs(3 * kCount), expected(kResults * kCount), given(kResults * kCount);
  for (std::uint64_t& word : inputs) word = random() % 4 == 0 ? special[random() % std::size(special)] : random() >> (random() % 2 == 0 ? 0 : random() % 64);
  for (std::uint32_t i = 0; i < kCount; ++i) arithmetic(&inputs[3 * i], &expected[kResults * i]);
  REQUIRE(cudaDeviceReset() == cudaSuccess);
  void *device_inputs = nullptr, *results = nullptr;
  REQUIRE(cudaMalloc(&device_inputs, inputs.size() * 8) == cudaSuccess);
  REQUIRE(cudaMalloc(&results, given.size() * 8) == cudaSuccess);
  REQUIRE(cudaMemcpy(device_inputs, inputs.data(), inputs.size() * 8, cudaMemcpyHostToDevice) == cudaSuccess);
  REQUIRE(compute(static_cast<const std::uint64_t*>(device_inputs), static_cast<std::uint64_t*>(results), kCount) == cudaSuccess);
  REQUIRE(cudaMemcpy(given.data(), results, given.size() * 8, cudaMemcpyDeviceToHost) == cudaSuccess);
  for (std::uint32_t i = 0; i < kCount; ++i)
    for (unsigned k = 0; k < kResults; ++k)
      if (given[kResults * i + k] != expected[kResults * i + k]) {
        INFO("result " << k << " of " << std::hex << inputs[3 * i] << " " << inputs[3 * i + 1] << " " << inputs[3 * i + 2]);
        CHECK(given[kResults * i + k] == expected[kResults * i + k]);
      }
}

namespace {
const char kHead[] = ".version 9.0\n.target sm_90\n.address_size 64\n";
std::string of_floats(const std::string& body) {
  return std::string(kHead) + ".entry k(.param .u64 k_param_0)\n{\n.reg .f32 %f<9>;\n.reg .b64 %rd<2>;\nld.param.u64 %rd0, [k_param_0];\nld.global.f32 %f0, [%rd0];\n"
         "ld.global.f32 %f1, [%rd0+4];\nld.global.f32 %f2, [%rd0+8];\n" + body + "st.global.f32 [%rd0], %f8;\nret;\n}\n";
}
/// What a body makes of three numbers.
float run(const std::string& body, bool contract, float a, float b, float c) {
  const auto module = parse(of_floats(body), "text", contract);
  GlobalMemory memory;
  const float numbers[] = {a, b, c};
  void* const place = memory.allocate(sizeof numbers, GlobalMemory::Owner::device);
  std::memcpy(place, numbers, sizeof numbers);
  REQUIRE(memory.define(place, sizeof numbers));
  Launch launch{module.get(), &module->functions.at(0), 1, 1, std::vector<std::byte>(kParamBias + 8)};
  std::memcpy(launch.params.data() + kParamBias, &place, 8);
  Executor(memory).run(launch);
  float result = 0;
  std::memcpy(&result, place, sizeof result);
  return result;
}
std::string refusal(const std::string& text) {
  try {
    (void)parse(text, "text", false);
  } catch (const PtxError& error) {
    return error.what();
  }
  return "";
}
}  // namespace

TEST_CASE("Roundings that may be left out are left out where that is asked for") {
  const float a = 1 + 0x1p-12f, b = 1 + 0x1p-12f, c = -1;
  const float rounded = a * b - 1, fused = std::fma(a, b, c);
  REQUIRE(rounded != fused);
  const std::string sum = "mul.f32 %f3, %f0, %f1;\nadd.f32 %f8, %f3, %f2;\n", turned = "mul.f32 %f3, %f0, %f1;\nneg.f32 %f4, %f2;\nsub.f32 %f8, %f4, %f3;\n";
  const std::string less = "mul.f32 %f3, %f0, %f1;\nneg.f32 %f4, %f2;\nsub.f32 %f8, %f3, %f4;\n";
  for (const bool contract : {false, true}) {
    CHECK(run(sum, contract, a, b, c) == (contract ? fused : rounded));
    CHECK(run(less, contract, a, b, c) == (contract ? fused : rounded));
    CHECK(run(turned, contract, a, b, c) == (contract ? -fused : -rounded));
    // With a rounding that is asked for by name, or a factor that has changed since, nothing may be fused.
    CHECK(run("mul.rn.f32 %f3, %f0, %f1;\nadd.f32 %f8, %f3, %f2;\n", contract, a, b, c) == rounded);
    CHECK(run("mul.f32 %f3, %f0, %f1;\nadd.rn.f32 %f8, %f3, %f2;\n", contract, a, b, c) == rounded);
    CHECK(run("mul.f32 %f3, %f0, %f1;\nadd.f32 %f0, %f0, %f0;\nadd.f32 %f8, %f3, %f2;\n", contract, a, b, c) == rounded);
  }
}

TEST_CASE("PTX that is not understood is refused by its line") {
  CHECK(refusal(of_floats("sin.approx.f32 %f8, %f0;\n")) == "text:12: 'sin.approx.f32' is not understood");
  CHECK(refusal(of_floats("add.f32 %f8, %f0;\n")) == "text:12: 'add.f32' with another number of operands");
  CHECK(refusal(of_floats("add.f32 %f8, %f0, %f9;\n")) == "text:12: the register %f9 is not understood");
  CHECK(refusal(of_floats("st.global.f32 [%rd0], %f99;\n")) == "text:12: an unknown register");
  CHECK(refusal(of_floats("ld.global.f32 %f99, [%rd0];\n")) == "text:12: an unknown register");
  CHECK(refusal(of_floats("add.f32 %f99, %f0, %f1;\n")) == "text:12: an unknown register");
  CHECK(refusal(of_floats("bra $nowhere;\n")) == "text:12: no label $nowhere");
  CHECK(refusal(of_floats("atom.global.max.u32 %f8, [%rd0], 1;\n")) == "text:12: 'atom.global.max.u32' is not understood");
  CHECK(refusal(of_floats("call.uni nobody, ();\n")) == "text:12: call of an unknown function nobody");
  CHECK(refusal(std::string(kHead) + ".entry k()\n{\n.reg .b32 %r<2>;\nmov.u32 %r0, 1;\n}\n") == "text:0: a function that does not end");
  CHECK(refusal(std::string(kHead) + ".surf .u32 x;") == "text:4: '.surf' is not understood here");
  CHECK(refusal(std::string(kHead) + ".entry k(") == "text:0: '.param' expected, not ''");
}

TEST_CASE("Work of a stream is done when the stream was waited for") {
  const Memory memory;
  cudaStream_t stream = nullptr;
  void* pinned = nullptr;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  REQUIRE(cudaMallocHost(&pinned, 4) == cudaSuccess);
  auto* const word = static_cast<std::uint32_t*>(pinned);
  *word = 1;
  REQUIRE(cudaMemcpyAsync(memory.words(), word, 4, cudaMemcpyHostToDevice, stream) == cudaSuccess);
  *word = 2;  // too early: the copy may take this one
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(memory.read(1)[0] == 2);
  REQUIRE(cudaMemsetAsync(memory.words(), 0xFF, 4, stream) == cudaSuccess);
  CHECK(memory.read(1)[0] == 2);  // the default stream does not wait for this one
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(memory.read(1)[0] == 0xFFFFFFFF);

  // A capture records and does nothing; its thread may not wait or allocate.
  REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  REQUIRE(cudaMemsetAsync(memory.words(), 0x11, 4, stream) == cudaSuccess);
  void* more = nullptr;
  CHECK(cudaMalloc(&more, 4) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
  cudaGraph_t graph = nullptr;
  REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  cudaGraphExec_t runnable = nullptr;
  REQUIRE(cudaGraphInstantiate(&runnable, graph, 0) == cudaSuccess);
  REQUIRE(cudaGraphDestroy(graph) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(memory.read(1)[0] == 0xFFFFFFFF);
  REQUIRE(cudaGraphLaunch(runnable, stream) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(memory.read(1)[0] == 0x11111111);
  REQUIRE(cudaGraphExecDestroy(runnable) == cudaSuccess);
  REQUIRE(cudaStreamDestroy(stream) == cudaSuccess);
  CHECK(cudaMemcpy(memory.words() + 60, word, 32, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
}

}  // namespace heirmark::emulator
