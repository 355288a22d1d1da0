// The host in a device's place: everything has happened when a call returns.
#include <cstdlib>
#include <cstring>
#include <new>

#include "machine.hpp"

namespace heirmark::gpu {
namespace {
class HostMachine final : public Machine {
 public:
  [[nodiscard]] DeviceSampler::Backend backend() const override { return DeviceSampler::Backend::cpu; }
  [[nodiscard]] std::string name() const override { return "host"; }
  void enter() override {}
  void* allocate(std::size_t bytes) override {
    constexpr std::size_t kAlignment = 256;
    void* const memory = std::aligned_alloc(kAlignment, (bytes / kAlignment + 1) * kAlignment);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  void release(void* memory) override { std::free(memory); }
  void* new_stream() override { return nullptr; }
  void delete_stream(void*) override {}
  void copy_in(void* to, const void* from, std::size_t bytes, void*) override { std::memcpy(to, from, bytes); }
  void copy_out(void* to, const void* from, std::size_t bytes, void*) override { std::memcpy(to, from, bytes); }
  void fill(void* memory, unsigned char byte, std::size_t bytes, void*) override { std::memset(memory, byte, bytes); }
  void wait(void*) override {}
  std::unique_ptr<Graph> record(void*, const std::function<void()>& work) override { return std::make_unique<HostGraph>(work); }

 private:
  class HostGraph final : public Graph {
   public:
    explicit HostGraph(std::function<void()> work) : work_(std::move(work)) {}
    void replay() override { work_(); }

   private:
    std::function<void()> work_;
  };
};
}  // namespace

std::unique_ptr<Machine> host_machine() { return std::make_unique<HostMachine>(); }

#if !defined(HEIRMARK_WITH_CUDA)
std::unique_ptr<Machine> cuda_machine(int, std::string& why) {
  why = "this build has no CUDA";
  return nullptr;
}
#endif

}  // namespace heirmark::gpu
