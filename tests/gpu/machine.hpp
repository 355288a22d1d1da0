// Where a check runs: a CUDA device, or the host in its place, so that the programs of this folder are tested where there is no device.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include <heirmark/device_sampler.hpp>

namespace heirmark::gpu {

/// The machine failed; nothing that it holds can be trusted from here on.
struct MachineError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Memory and streams. Every call may come from several threads.
class Machine {
 public:
  /// Work recorded on a stream, to be replayed there.
  class Graph {
   public:
    virtual ~Graph() = default;
    virtual void replay() = 0;
  };

  virtual ~Machine() = default;
  [[nodiscard]] virtual DeviceSampler::Backend backend() const = 0;
  [[nodiscard]] virtual std::string name() const = 0;
  /// Makes the calling thread use the device.
  virtual void enter() = 0;
  /// Aligned to 256 bytes; not initialized.
  [[nodiscard]] virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory) = 0;
  [[nodiscard]] virtual void* new_stream() = 0;
  virtual void delete_stream(void* stream) = 0;
  /// Asynchronous where the machine can.
  virtual void copy_in(void* to, const void* from, std::size_t bytes, void* stream) = 0;
  virtual void copy_out(void* to, const void* from, std::size_t bytes, void* stream) = 0;
  virtual void fill(void* memory, unsigned char byte, std::size_t bytes, void* stream) = 0;
  virtual void wait(void* stream) = 0;
  [[nodiscard]] virtual std::unique_ptr<Graph> record(void* stream, const std::function<void()>& work) = 0;
};

[[nodiscard]] std::unique_ptr<Machine> host_machine();
/// Null where there is no device, with the reason in `why`.
[[nodiscard]] std::unique_ptr<Machine> cuda_machine(int device, std::string& why);

/// Memory of a machine that frees itself.
class Buffer {
 public:
  Buffer(Machine& machine, std::size_t bytes) : machine_(&machine), bytes_(bytes), data_(machine.allocate(bytes)) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { machine_->release(data_); }
  [[nodiscard]] std::byte* data() const { return static_cast<std::byte*>(data_); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  Machine* machine_;
  std::size_t bytes_;
  void* data_;
};

class Stream {
 public:
  explicit Stream(Machine& machine) : machine_(&machine), stream_(machine.new_stream()) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { machine_->delete_stream(stream_); }
  [[nodiscard]] void* get() const { return stream_; }

 private:
  Machine* machine_;
  void* stream_;
};

}  // namespace heirmark::gpu
