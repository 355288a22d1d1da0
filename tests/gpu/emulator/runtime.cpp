// CUDA's runtime for a device that is not there: the functions that the SDK and gpu_check call, over an Executor. A program is linked to it in the place of
// libcudart; another function that it calls is missing at link time.
//
// What a stream is given waits there until somebody waits for the stream, and streams that do not know each other run in an order that follows from the
// seed (HEIRMARK_EMULATOR_SEED): what is used before it is waited for is not there. A kernel's fault is said on standard error and, as on a device, is the
// error of every call from then on.
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "block.hpp"
#include "emulator.hpp"
#include "operations.hpp"
#include "ptx.hpp"

using namespace heirmark::emulator;
using Work = std::function<void()>;

struct CUstream_st {
  bool blocking = true;  ///< with the default stream
  std::deque<Work> work;
  CUgraph_st* capturing = nullptr;
};
struct CUgraph_st { std::vector<Work> work; };
struct CUgraphExec_st { std::vector<Work> work; };
struct CUevent_st { std::chrono::steady_clock::time_point when; };

namespace {
struct FatBinary {
  std::string_view ptx;
  std::unique_ptr<Module> module;  ///< once somebody needs it
};
}  // namespace

struct CUkern_st {
  FatBinary* binary;
  std::string name;
};

namespace {
constexpr std::uint32_t kProcessors[] = {132, 2, 16};  ///< tokens do not depend on it, the number of slices does

class Runtime {
 public:
  static Runtime& get() {
    static Runtime* const runtime = new Runtime;  // kernels register before main and leave after it
    return *runtime;
  }
  std::mutex mutex;
  GlobalMemory memory;
  std::vector<std::unique_ptr<FatBinary>> binaries;
  std::unordered_map<const void*, std::unique_ptr<CUkern_st>> kernels;
  std::set<CUstream_st*> streams;
  cudaError_t lost = cudaSuccess;  ///< what every call gives from now on
  std::string fault;
  bool estimating = false;
  std::vector<Estimate> estimates;
  // What one device does and another does not
  [[nodiscard]] int processors() const { return static_cast<int>(kProcessors[seed_ % std::size(kProcessors)]); }
  [[nodiscard]] bool contracts() const { return seed_ / std::size(kProcessors) % 2 != 0; }

  const Function* entry(CUkern_st& kernel) {
    FatBinary& binary = *kernel.binary;
    if (binary.module == nullptr) {
      try {
        binary.module = parse(binary.ptx, "ptx", contracts());
      } catch (const PtxError& error) {
        std::fprintf(stderr, "emulator: %s\n", error.what());
        return nullptr;
      }
    }
    const auto found = binary.module->function_of.find(kernel.name);
    return found == binary.module->function_of.end() ? nullptr : &binary.module->functions[found->second];
  }

  void run(const Launch& launch) {
    if (lost != cudaSuccess) return;
    executor_.time(estimating ? &clock_ : nullptr);
    try {
      executor_.run(launch);
      if (estimating) estimates.push_back(clock_.end_launch());
    } catch (const Fault& error) {
      std::fprintf(stderr, "emulator: %s\n", error.what());
      fault = error.what();
      lost = cudaErrorLaunchFailure;
    }
  }

  /// All that a stream was given; of the others whatever the seed likes.
  void finish(CUstream_st& stream) {
    while (!stream.work.empty()) {
      CUstream_st* next = &stream;
      if (streams.size() > 1 && random_() % 4 == 0) {
        auto other = streams.begin();
        std::advance(other, random_() % streams.size());
        if (!(*other)->work.empty()) next = *other;
      }
      const Work work = std::move(next->work.front());
      next->work.pop_front();
      work();
    }
  }
  void finish_all(bool blocking_only) {
    for (CUstream_st* stream : streams)
      if (!blocking_only || stream->blocking) finish(*stream);
  }
  void give(CUstream_st* stream, Work work) {
    CUstream_st& to = stream == nullptr ? legacy_ : *stream;
    if (to.capturing != nullptr) {
      to.capturing->work.push_back(std::move(work));
    } else {
      to.work.push_back(std::move(work));
    }
  }
  void reset() {
    for (CUstream_st* stream : streams) {
      stream->work.clear();
      if (stream != &legacy_) delete stream;
    }
    streams = {&legacy_};
    memory = {};
    lost = cudaSuccess;
  }
  CUstream_st& stream(CUstream_st* given) { return given == nullptr ? legacy_ : *given; }

 private:
  Runtime() {
    if (const char* const text = std::getenv("HEIRMARK_EMULATOR_SEED")) seed_ = std::strtoull(text, nullptr, 10);
    executor_.seed(seed_);
    random_.seed(seed_);
    streams.insert(&legacy_);
  }
  std::uint64_t seed_ = 0;
  Executor executor_{memory};
  Clock clock_;
  std::mt19937_64 random_;
  CUstream_st legacy_;
};

thread_local cudaError_t last_error = cudaSuccess;
thread_local CUstream_st* captured = nullptr;  ///< by this thread, in which it must not wait
struct Configuration { dim3 grid, block; size_t shared; CUstream_st* stream; };
thread_local std::vector<Configuration> configurations;

cudaError_t told(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

/// Body of a call: under the lock, with whatever the device is lost by, and the error kept for cudaGetLastError.
template <class F>
cudaError_t call(const F& f) {
  Runtime& runtime = Runtime::get();
  const std::lock_guard lock(runtime.mutex);
  if (runtime.lost != cudaSuccess) return told(runtime.lost);
  const cudaError_t error = f(runtime);
  return told(error == cudaSuccess ? runtime.lost : error);
}
/// The same for one that may not be made while its thread captures.
template <class F>
cudaError_t waiting_call(const F& f) {
  return call([&](Runtime& runtime) { return captured != nullptr ? cudaErrorStreamCaptureUnsupported : f(runtime); });
}

cudaError_t copy(Runtime& runtime, void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (kind != cudaMemcpyHostToDevice && kind != cudaMemcpyDeviceToHost && kind != cudaMemcpyDeviceToDevice) return cudaErrorInvalidMemcpyDirection;
  if (kind != cudaMemcpyHostToDevice && !runtime.memory.owns(from, bytes)) return cudaErrorInvalidValue;
  if (kind != cudaMemcpyDeviceToHost && !runtime.memory.owns(to, bytes)) return cudaErrorInvalidValue;
  return cudaSuccess;
}
void copy_now(Runtime& runtime, void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (bytes != 0) std::memcpy(to, from, bytes);
  if (kind != cudaMemcpyDeviceToHost) (void)runtime.memory.define(to, bytes);
}

cudaError_t launch(Runtime& runtime, CUkern_st& kernel, dim3 grid, dim3 block, void** arguments, size_t shared, CUstream_st* stream) {
  const Function* const entry = runtime.entry(kernel);
  if (entry == nullptr) return cudaErrorInvalidKernelImage;
  if (grid.x == 0 || block.x == 0 || block.x > 1024 || grid.y != 1 || grid.z != 1 || block.y != 1 || block.z != 1 || shared != 0) return cudaErrorInvalidConfiguration;
  Launch made{kernel.binary->module.get(), entry, grid.x, block.x, {}};
  made.params.resize(kParamBias + entry->param_bytes);
  for (std::size_t i = 0; i < entry->params.size(); ++i) std::memcpy(made.params.data() + kParamBias + entry->params[i].first, arguments[i], entry->params[i].second);
  runtime.give(stream, [&runtime, made = std::move(made)] { runtime.run(made); });
  return cudaSuccess;
}
}  // namespace

std::string heirmark::emulator::last_fault() {
  Runtime& runtime = Runtime::get();
  const std::lock_guard lock(runtime.mutex);
  return runtime.fault;
}

void heirmark::emulator::estimate_launches(bool wanted) {
  Runtime& runtime = Runtime::get();
  const std::lock_guard lock(runtime.mutex);
  runtime.estimating = wanted;
}

std::vector<Estimate> heirmark::emulator::take_estimates() {
  Runtime& runtime = Runtime::get();
  const std::lock_guard lock(runtime.mutex);
  return std::exchange(runtime.estimates, {});
}

extern "C" {

// ---- What nvcc's code calls

void** __cudaRegisterFatBinary(void* wrapper) {
  // struct { int magic, version; const void* data; void* unused; } around: magic, version and size of the header, size of the rest; then entries of
  // kind (1: PTX), version, size of the entry's header, size of what follows, ... Not documented; cuobjdump shows the same.
  Runtime& runtime = Runtime::get();
  const std::lock_guard lock(runtime.mutex);
  runtime.binaries.push_back(std::make_unique<FatBinary>());
  FatBinary& binary = *runtime.binaries.back();
  const std::byte* at = nullptr;
  std::memcpy(&at, static_cast<const std::byte*>(wrapper) + 8, sizeof at);
  std::uint16_t header = 0;
  std::uint64_t bytes = 0;
  std::memcpy(&header, at + 6, sizeof header);
  std::memcpy(&bytes, at + 8, sizeof bytes);
  at += header;
  for (const std::byte* const end = at + bytes; at < end;) {
    std::uint16_t kind = 0;
    std::uint32_t own = 0;
    std::uint64_t size = 0;
    std::memcpy(&kind, at, sizeof kind);
    std::memcpy(&own, at + 4, sizeof own);
    std::memcpy(&size, at + 8, sizeof size);
    if (kind == 1) binary.ptx = std::string_view(reinterpret_cast<const char*>(at + own), size);
    at += own + size;
  }
  return reinterpret_cast<void**>(&binary);
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 1; }
void __cudaRegisterFunction(void** binary, const char* host, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*, int*) {
  Runtime& runtime = Runtime::get();
  const std::lock_guard lock(runtime.mutex);
  runtime.kernels[host] = std::make_unique<CUkern_st>(CUkern_st{reinterpret_cast<FatBinary*>(binary), name});
}
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, CUstream_st* stream) {
  configurations.push_back({grid, block, shared, stream});
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  if (configurations.empty()) return told(cudaErrorMissingConfiguration);
  const Configuration& top = configurations.back();
  *grid = top.grid;
  *block = top.block;
  *shared = top.shared;
  *static_cast<CUstream_st**>(stream) = top.stream;
  configurations.pop_back();
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  return call([&](Runtime& runtime) {
    const auto found = runtime.kernels.find(host);
    if (found == runtime.kernels.end()) return cudaErrorInvalidDeviceFunction;
    *kernel = found->second.get();
    return cudaSuccess;
  });
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, size_t shared, cudaStream_t stream) {
  return call([&](Runtime& runtime) { return launch(runtime, *kernel, grid, block, arguments, shared, stream); });
}
cudaError_t cudaLaunchKernel(const void* host, dim3 grid, dim3 block, void** arguments, size_t shared, cudaStream_t stream) {
  return call([&](Runtime& runtime) {
    const auto found = runtime.kernels.find(host);
    return found == runtime.kernels.end() ? cudaErrorInvalidDeviceFunction : launch(runtime, *found->second, grid, block, arguments, shared, stream);
  });
}

// ---- Devices

cudaError_t cudaGetDeviceCount(int* count) {
  return call([&](Runtime&) {
    const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
    *count = visible == nullptr || *visible != '\0' ? 1 : 0;
    return *count == 1 ? cudaSuccess : cudaErrorNoDevice;
  });
}
cudaError_t cudaGetDevice(int* device) {
  return call([&](Runtime&) {
    *device = 0;
    return cudaSuccess;
  });
}
cudaError_t cudaSetDevice(int device) {
  return call([&](Runtime&) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; });
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return call([&](Runtime& runtime) {
    if (device != 0) return cudaErrorInvalidDevice;
    if (attribute != cudaDevAttrMultiProcessorCount) return cudaErrorInvalidValue;
    *value = runtime.processors();
    return cudaSuccess;
  });
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return call([&](Runtime& runtime) {
    if (device != 0) return cudaErrorInvalidDevice;
    *properties = {};
    std::strcpy(properties->name, "emulated (tests/gpu/emulator)");
    properties->multiProcessorCount = runtime.processors();
    properties->major = 9;
    properties->l2CacheSize = 8192;
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceSynchronize() {
  return waiting_call([](Runtime& runtime) {
    runtime.finish_all(false);
    return cudaSuccess;
  });
}
/// Everything that was given out is gone, and a lost device is found again.
cudaError_t cudaDeviceReset() {
  Runtime& runtime = Runtime::get();
  const std::lock_guard lock(runtime.mutex);
  runtime.reset();
  last_error = cudaSuccess;
  return cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* host) {
  return call([&](Runtime& runtime) {
    const auto found = runtime.kernels.find(host);
    if (found == runtime.kernels.end()) return cudaErrorInvalidDeviceFunction;
    const Function* const entry = runtime.entry(*found->second);
    if (entry == nullptr) return cudaErrorInvalidKernelImage;
    *attributes = {};
    attributes->maxThreadsPerBlock = static_cast<int>(entry->max_threads);
    for (const Variable& variable : entry->shared) attributes->sharedSizeBytes += variable.bytes;
    return cudaSuccess;
  });
}

// ---- Memory

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return call([&](Runtime& runtime) {
    *total = size_t{8} << 30;
    *free = *total - runtime.memory.in_use();
    return cudaSuccess;
  });
}
cudaError_t cudaMalloc(void** memory, size_t bytes) {
  return waiting_call([&](Runtime& runtime) {
    *memory = runtime.memory.allocate(bytes, GlobalMemory::Owner::device);
    return *memory != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
  });
}
cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  return waiting_call([&](Runtime& runtime) {
    *memory = runtime.memory.allocate(bytes, GlobalMemory::Owner::host);
    return *memory != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
  });
}
cudaError_t cudaFree(void* memory) {
  return waiting_call([&](Runtime& runtime) {
    if (memory == nullptr) return cudaSuccess;
    runtime.finish_all(false);
    return runtime.memory.release(memory, GlobalMemory::Owner::device) ? cudaSuccess : cudaErrorInvalidValue;
  });
}
cudaError_t cudaFreeHost(void* memory) {
  return waiting_call([&](Runtime& runtime) {
    if (memory == nullptr) return cudaSuccess;
    runtime.finish_all(false);
    return runtime.memory.release(memory, GlobalMemory::Owner::host) ? cudaSuccess : cudaErrorInvalidValue;
  });
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return waiting_call([&](Runtime& runtime) {
    if (const cudaError_t error = copy(runtime, to, from, bytes, kind); error != cudaSuccess) return error;
    runtime.finish_all(true);
    copy_now(runtime, to, from, bytes, kind);
    return cudaSuccess;
  });
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return call([&](Runtime& runtime) {
    if (const cudaError_t error = copy(runtime, to, from, bytes, kind); error != cudaSuccess) return error;
    const bool capturing = runtime.stream(stream).capturing != nullptr;
    if (kind == cudaMemcpyHostToDevice && !capturing && bytes != 0 && !runtime.memory.pinned(from)) {
      // Staged: the caller may use its memory again at once.
      const auto staged = std::make_shared<std::vector<std::byte>>(static_cast<const std::byte*>(from), static_cast<const std::byte*>(from) + bytes);
      runtime.give(stream, [&runtime, to, staged, kind] { copy_now(runtime, to, staged->data(), staged->size(), kind); });
      return cudaSuccess;
    }
    runtime.give(stream, [&runtime, to, from, bytes, kind] { copy_now(runtime, to, from, bytes, kind); });
    // To memory that is not pinned it is done when the call returns.
    if (kind == cudaMemcpyDeviceToHost && !capturing && !runtime.memory.pinned(to)) runtime.finish(runtime.stream(stream));
    return cudaSuccess;
  });
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  return call([&](Runtime& runtime) {
    if (!runtime.memory.owns(memory, bytes)) return cudaErrorInvalidValue;
    runtime.give(stream, [&runtime, memory, value, bytes] {
      if (bytes != 0) std::memset(memory, value, bytes);
      (void)runtime.memory.define(memory, bytes);
    });
    return cudaSuccess;
  });
}
cudaError_t cudaMemset(void* memory, int value, size_t bytes) {
  if (const cudaError_t error = cudaMemsetAsync(memory, value, bytes, nullptr); error != cudaSuccess) return error;
  return waiting_call([](Runtime& runtime) {
    runtime.finish_all(true);
    return cudaSuccess;
  });
}

// ---- Streams and graphs

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return waiting_call([&](Runtime& runtime) {
    *stream = new CUstream_st;
    (*stream)->blocking = (flags & cudaStreamNonBlocking) == 0;
    runtime.streams.insert(*stream);
    return cudaSuccess;
  });
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return call([&](Runtime& runtime) {
    if (stream == nullptr || runtime.streams.count(stream) == 0) return cudaErrorInvalidResourceHandle;
    runtime.finish(*stream);
    runtime.streams.erase(stream);
    delete stream;
    return cudaSuccess;
  });
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return waiting_call([&](Runtime& runtime) {
    if (stream == nullptr) runtime.finish_all(true);
    runtime.finish(runtime.stream(stream));
    return cudaSuccess;
  });
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return call([&](Runtime&) {
    if (stream == nullptr || mode != cudaStreamCaptureModeThreadLocal) return cudaErrorStreamCaptureUnsupported;
    if (stream->capturing != nullptr || captured != nullptr) return cudaErrorIllegalState;
    stream->capturing = new CUgraph_st;
    captured = stream;
    return cudaSuccess;
  });
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return call([&](Runtime&) {
    if (stream == nullptr || captured != stream) return cudaErrorIllegalState;
    *graph = std::exchange(stream->capturing, nullptr);
    captured = nullptr;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* runnable, cudaGraph_t graph, unsigned long long) {
  return call([&](Runtime&) {
    *runnable = new CUgraphExec_st{graph->work};
    return cudaSuccess;
  });
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t runnable, cudaStream_t stream) {
  return call([&](Runtime& runtime) {
    for (const Work& work : runnable->work) runtime.give(stream, work);
    return cudaSuccess;
  });
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t runnable) {
  delete runnable;
  return cudaSuccess;
}

// ---- Events: the time that the emulator took

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return call([&](Runtime&) {
    *event = new CUevent_st;
    return cudaSuccess;
  });
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return call([&](Runtime& runtime) {
    event->when = {};
    runtime.give(stream, [event] { event->when = std::chrono::steady_clock::now(); });
    return cudaSuccess;
  });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return waiting_call([&](Runtime& runtime) {
    if (event->when == std::chrono::steady_clock::time_point{}) runtime.finish_all(false);
    return cudaSuccess;
  });
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  return call([&](Runtime&) {
    if (begin->when == std::chrono::steady_clock::time_point{} || end->when == std::chrono::steady_clock::time_point{}) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(end->when - begin->when).count();
    return cudaSuccess;
  });
}

// ---- Errors

cudaError_t cudaGetLastError() {
  Runtime& runtime = Runtime::get();
  const std::lock_guard lock(runtime.mutex);
  const cudaError_t error = runtime.lost != cudaSuccess ? runtime.lost : last_error;
  last_error = cudaSuccess;
  return error;
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorInvalidKernelImage: return "device kernel image is invalid";
    case cudaErrorInvalidDeviceFunction: return "invalid device function";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    default: return "another error of the emulated runtime";
  }
}
}  // extern "C"
