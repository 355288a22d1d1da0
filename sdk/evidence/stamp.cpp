#include "evidence/stamp.hpp"

#include <algorithm>

#include "audit/plan.hpp"
#include "base/files.hpp"
#include "crypto/sha256.hpp"
#include "evidence/statement.hpp"

namespace heirmark {
namespace fs = std::filesystem;

namespace evidence {
bool is_about(const crypto::Stamp& stamp, std::string_view statement) {
  const crypto::Digest digest = crypto::sha256(statement);
  return stamp.right_hash && std::equal(stamp.imprint.begin(), stamp.imprint.end(), digest.begin(), digest.end());
}
std::string stamp_prefix(Object object) { return "stamps/" + std::string(object_name(object)) + "-"; }
}  // namespace evidence

std::string stamp_file(Object object, unsigned slot) { return evidence::stamp_prefix(object) + std::to_string(slot) + ".tsr"; }

Result<std::string> make_stamp_request(std::string_view statement) {
  const auto request = crypto::stamp_request(crypto::bytes_of(statement));
  if (!request) return request.error();
  return std::string(request->begin(), request->end());
}

Result<TimeStamp> read_stamp(std::string_view statement, std::string_view reply, std::string_view request) {
  const auto parsed = crypto::StampReply::parse(crypto::bytes_of(reply));
  if (!parsed) return parsed.error();
  if (!request.empty())
    if (auto fits = parsed->answers(crypto::bytes_of(request)); !fits) return fits.error();
  if (!evidence::is_about(parsed->stamp(), statement)) return Error{ErrorCode::invalid_evidence, "the time stamp is about other bytes than the statement"};
  if (auto good = parsed->verify(); !good) return good.error();
  return TimeStamp{parsed->stamp().time, parsed->stamp().authority};
}

Result<TimeStamp> add_stamp(const fs::path& folder, Object object, unsigned slot, std::string_view reply, std::string_view request) {
  if (slot < 1 || slot > kStampSlots) return Error{ErrorCode::usage, "a statement has stamps 1 to " + std::to_string(kStampSlots) + ", not " + std::to_string(slot)};
  const fs::path statement = folder / evidence::statement_file(object), file = folder / stamp_file(object, slot);
  const auto envelope = files::read(statement, audit::kMaxObject);
  if (!envelope) return envelope.error();
  const Error taken{ErrorCode::usage, file.string() + " is there already; a time stamp is not replaced"};
  if (!files::is_missing(file)) return taken;
  for (unsigned other = 1; other <= kStampSlots; ++other) {
    const fs::path beside = folder / stamp_file(object, other);
    if (other == slot || files::is_missing(beside)) continue;
    const auto bytes = files::read(beside, audit::kMaxObject);
    if (!bytes) return bytes.error();
    if (*bytes == reply) return Error{ErrorCode::usage, beside.string() + " is this very stamp"};
  }
  auto stamp = read_stamp(*envelope, reply, request);
  if (!stamp) return stamp;
  std::error_code code;
  fs::create_directories(file.parent_path(), code);
  if (code) return files::failure(file.parent_path(), code.value(), files::Access::write);
  if (auto done = files::write_new(file, reply); !done) return done.error().code == ErrorCode::usage ? taken : done.error();
  return stamp;
}

}  // namespace heirmark
