// What detect.hpp offers for an opening: subkeys out of the tree, then the work on words.
#include <heirmark/detect.hpp>
#include <memory>

#include "scoring/family.hpp"

namespace heirmark {
namespace {

core::KeyWords words_of(const Secret32& key) { return core::key_words(key.expose_secret().data()); }

scoring::WindowKeys window_keys(const EpochSecret& epoch, std::uint32_t member) {
  scoring::WindowKeys out{};
  const auto keys = epoch.windows(member);
  for (std::size_t c = 0; c < keys.size(); ++c) out.by_class[c] = words_of(keys[c]);
  return out;
}

Result<std::uint32_t> member_of(const Opening& opening, std::optional<std::uint32_t> member) {
  const std::uint32_t chosen = member.value_or(opening.live_index());
  if (chosen >= opening.family_size())
    return Error{ErrorCode::usage, "member " + std::to_string(chosen) + " is not in a family of " +
                                       std::to_string(opening.family_size())};
  return chosen;
}
}  // namespace

Result<Detection> detect(const Opening& opening, const PairSet& pairs, const DetectOptions& options,
                         std::optional<std::uint32_t> member) {
  const auto chosen = member_of(opening, member);
  if (!chosen) return chosen.error();
  const scoring::Family family{opening.profile(), opening.family_size(), *chosen,
                               [&opening](std::uint32_t i) { return window_keys(opening.epoch(), i); }};
  std::unique_ptr<kernels::ScoreDevice> device;
  if (options.device == Device::cuda) {
    auto opened = kernels::open_score_device();
    if (!opened) return opened.error();
    device = std::move(opened).value();
  }
  return scoring::detect_family(family, pairs, options, scoring::best_kernel(), device.get());
}

Result<Detection> detect(const SubkeysFile& keys, const PairSet& pairs, const DetectOptions& options) {
  if (options.decoys != 0) return Error{ErrorCode::usage, "a subkeys file knows no decoys"};
  if (options.device != Device::cpu) return Error{ErrorCode::usage, "one key is scored on the CPU"};
  scoring::WindowKeys live{};
  for (std::size_t c = 0; c < Subkeys::kClasses; ++c) live.by_class[c] = words_of(keys.subkeys.window[c]);
  const scoring::Family family{keys.profile, 1, 0, [live](std::uint32_t) { return live; }};
  return scoring::detect_family(family, pairs, options, scoring::best_kernel());
}

Result<Device> parse_device(std::string_view name) {
  if (name == "cpu") return Device::cpu;
  if (name == "cuda") return Device::cuda;
  return Error{ErrorCode::usage, "no device \"" + std::string(name) + "\"; there are cpu and cuda"};
}

Result<void> check_device(Device device) {
  if (device == Device::cpu) return {};
  const auto opened = kernels::open_score_device();
  return opened ? Result<void>{} : opened.error();
}

Result<std::vector<IssuedChoice>> issued_choices(const Opening& opening, std::span<const IssuedResponse> ledger,
                                                 std::optional<std::uint32_t> member) {
  const auto chosen = member_of(opening, member);
  if (!chosen) return chosen.error();
  const scoring::IssuedKeys keys{
      words_of(opening.coin()), window_keys(opening.epoch(), *chosen),
      [&opening, i = *chosen](std::string_view account) -> Result<core::KeyWords> {
        if (!is_key_name(account))
          return Error{ErrorCode::bad_input, std::string("no account name: ").append(account.substr(0, 80))};
        return words_of(opening.epoch().issuance(i, account));
      }};
  return scoring::issued_choices_of(opening.profile(), keys, ledger);
}

}  // namespace heirmark
