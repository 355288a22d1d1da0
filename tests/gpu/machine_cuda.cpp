#include <cuda_runtime.h>

#include "machine.hpp"

namespace heirmark::gpu {
namespace {
void require(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw MachineError(std::string(what) + ": " + cudaGetErrorString(error));
}

class CudaMachine final : public Machine {
 public:
  explicit CudaMachine(int device) : device_(device) { require(cudaGetDeviceProperties(&properties_, device), "cudaGetDeviceProperties"); }
  [[nodiscard]] DeviceSampler::Backend backend() const override { return DeviceSampler::Backend::cuda; }
  [[nodiscard]] std::string name() const override { return properties_.name; }
  void enter() override { require(cudaSetDevice(device_), "cudaSetDevice"); }
  void* allocate(std::size_t bytes) override {
    void* memory = nullptr;
    require(cudaMalloc(&memory, bytes == 0 ? 1 : bytes), "cudaMalloc");
    return memory;
  }
  void release(void* memory) override { cudaFree(memory); }  // in destructors: an error shows at the next call
  void* new_stream() override {
    cudaStream_t stream = nullptr;
    require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    return stream;
  }
  void delete_stream(void* stream) override { cudaStreamDestroy(static_cast<cudaStream_t>(stream)); }
  void copy_in(void* to, const void* from, std::size_t bytes, void* stream) override {
    require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, static_cast<cudaStream_t>(stream)), "copy to the device");
  }
  void copy_out(void* to, const void* from, std::size_t bytes, void* stream) override {
    require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, static_cast<cudaStream_t>(stream)), "copy from the device");
  }
  void fill(void* memory, unsigned char byte, std::size_t bytes, void* stream) override {
    if (bytes != 0) require(cudaMemsetAsync(memory, byte, bytes, static_cast<cudaStream_t>(stream)), "cudaMemset");
  }
  void wait(void* stream) override { require(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)), "the device"); }
  std::unique_ptr<Graph> record(void* stream, const std::function<void()>& work) override {
    const auto cuda_stream = static_cast<cudaStream_t>(stream);
    // Thread-local: other threads go on allocating and copying meanwhile.
    require(cudaStreamBeginCapture(cuda_stream, cudaStreamCaptureModeThreadLocal), "begin of a capture");
    work();
    cudaGraph_t graph = nullptr;
    require(cudaStreamEndCapture(cuda_stream, &graph), "end of a capture");
    cudaGraphExec_t runnable = nullptr;
    const cudaError_t error = cudaGraphInstantiate(&runnable, graph, 0);
    cudaGraphDestroy(graph);
    require(error, "cudaGraphInstantiate");
    return std::make_unique<CudaGraph>(runnable, cuda_stream);
  }

 private:
  class CudaGraph final : public Graph {
   public:
    CudaGraph(cudaGraphExec_t runnable, cudaStream_t stream) : runnable_(runnable), stream_(stream) {}
    CudaGraph(const CudaGraph&) = delete;
    CudaGraph& operator=(const CudaGraph&) = delete;
    ~CudaGraph() override { cudaGraphExecDestroy(runnable_); }
    void replay() override { require(cudaGraphLaunch(runnable_, stream_), "cudaGraphLaunch"); }

   private:
    cudaGraphExec_t runnable_;
    cudaStream_t stream_;
  };

  int device_;
  cudaDeviceProp properties_{};
};
}  // namespace

std::unique_ptr<Machine> cuda_machine(int device, std::string& why) {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    why = cudaGetErrorString(error);
    return nullptr;
  }
  if (device >= count) {
    why = "there are " + std::to_string(count) + " devices";
    return nullptr;
  }
  return std::make_unique<CudaMachine>(device);
}

}  // namespace heirmark::gpu
