// A reply of a time-stamping authority: whatever verifies by one root, about one statement, says what that root's authority said (corpus/time_stamp/reply, the only one that it made).
#include <algorithm>

#include "base/text.hpp"
#include "crypto/sha256.hpp"
#include "crypto/timestamp.hpp"
#include "fuzz.hpp"

using namespace heirmark;

namespace {
constexpr const char* kRoot =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBcjCCARigAwIBAgIUaWCEQ/Ogxe/EpfC83v/80/Jb3ngwCgYIKoZIzj0EAwIw\n"
    "FzEVMBMGA1UEAwwMUm9vdCBvZiBGdXp6MB4XDTIwMDEwMTAwMDAwMFoXDTQ5MTIz\n"
    "MTIzNTk1OVowFzEVMBMGA1UEAwwMUm9vdCBvZiBGdXp6MFkwEwYHKoZIzj0CAQYI\n"
    "KoZIzj0DAQcDQgAE5ttsVIDzd5oL4fEPc9mumFCVqNaNCFRsDdusaTKf9+GPEDyC\n"
    "Hnvs4uD06j79lleXc0b+e4mWTNmr7ajyeYeAY6NCMEAwDwYDVR0TAQH/BAUwAwEB\n"
    "/zAOBgNVHQ8BAf8EBAMCAgQwHQYDVR0OBBYEFL/ctggnfIQlyFCkSzGrafLls0UH\n"
    "MAoGCCqGSM49BAMCA0gAMEUCIQDZ5KFVsiLZm3Xex6/hcBWXHopdxCxaVECXhMEm\n"
    "iDTS3gIgAlTPMSYXNIo15OamVvanKhwYQe5Bf0SmAbgmlkqzX3U=\n"
    "-----END CERTIFICATE-----\n";

/// The caller names the file.
void refused(const Error& error) {
  fuzz::require(error.code == ErrorCode::bad_input || error.code == ErrorCode::invalid_evidence, "what is wrong is the input", error.message);
  fuzz::require(!error.message.empty() && text::printable(error.message, error.message.size()) == error.message, "an error can be shown", error.message);
}
}  // namespace

FUZZ_TARGET(time_stamp) {
  static const auto root = crypto::Certificates::from_pem(kRoot).value();
  const unsigned what = input.byte() % 3;
  if (what == 1) {
    const auto certificates = crypto::Certificates::from_pem(input.rest());
    if (!certificates) return refused(certificates.error());
    return fuzz::require(!certificates->all().empty(), "certificates were found");
  }
  const std::size_t size = what == 2 ? input.word() >> 16 : input.left();  // then the request comes behind the reply
  const auto parsed = crypto::StampReply::parse(input.take(size));
  if (!parsed) return refused(parsed.error());
  const crypto::Stamp& stamp = parsed->stamp();
  fuzz::require(text::is_time(stamp.time), "a stamp has a time", stamp.time);
  fuzz::require(text::printable(stamp.authority, stamp.authority.size()) == stamp.authority, "an authority's name can be shown", stamp.authority);
  if (what == 2)
    if (const auto fits = parsed->answers(crypto::bytes_of(input.rest())); !fits) refused(fits.error());
  if (!parsed->verify(root)) return;
  fuzz::require(static_cast<bool>(parsed->verify()), "what a root vouches for checks without it");
  const auto digest = crypto::sha256("statement");
  fuzz::require(stamp.time == "2026-11-01T12:00:01Z" && stamp.authority == "CN=Fuzz" && std::equal(stamp.imprint.begin(), stamp.imprint.end(), digest.begin(), digest.end()), "nobody else stamps", stamp.time);
}
