#include "case_check.hpp"

#include <heirmark/report.hpp>

#include "shell.hpp"

namespace heirmark::cli {

Result<void> sound(const std::string& what, const Result<VerifyReport>& checked) {
  if (!checked) return checked.error();
  const Check* first = nullptr;
  std::size_t failed = 0;
  for (const Check& check : checked->checks) {
    if (check.level == Level::note && check.code.ends_with(".missing")) inform("note       " + what + ": " + printable(check.detail) + "; it has to be there before the verdict");
    if (check.level != Level::fail) continue;
    if (first == nullptr) first = &check;
    ++failed;
  }
  if (first == nullptr) return {};
  return Error{ErrorCode::invalid_evidence, what + ": " + first->code + ": " + printable(first->detail) + (failed > 1 ? "; and " + grouped(failed - 1) + " more" : "")};
}

Result<void> pack(const std::filesystem::path& folder) {
  const std::filesystem::path bag = folder / "bag";
  // Nobody is told a verdict that `verify` would call invalid, and no good bag gives way to such a one.
  const auto good = [&bag](const std::filesystem::path& fresh) {
    VerifyOptions packed;
    packed.recompute = false;
    return sound(bag.string(), verify_bag(fresh, packed));
  };
  if (auto done = make_bag(folder, good); !done) return done;
  return write_report(bag, folder / "report.html");
}

}  // namespace heirmark::cli
