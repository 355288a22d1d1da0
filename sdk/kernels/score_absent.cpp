// The build without CUDA: bulk scoring has no device.
#include "kernels/score.hpp"

namespace heirmark::kernels {

Result<std::unique_ptr<ScoreDevice>> open_score_device() { return Error{ErrorCode::io, "CUDA device: this build has no CUDA kernels"}; }

}  // namespace heirmark::kernels
