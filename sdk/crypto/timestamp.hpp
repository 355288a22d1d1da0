// Time stamps of third parties (RFC 3161, with the certificate identifiers of RFC 5816), through OpenSSL.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/hex.hpp"

struct x509_st;

namespace heirmark::crypto {

/// Certificates of authorities that the caller trusts.
class Certificates {
 public:
  /// One certificate or more in PEM; text between them is skipped. `bad_input`: none, one that cannot be read, or anything else in PEM (a key, a certificate with trust settings).
  [[nodiscard]] static Result<Certificates> from_pem(std::string_view pem);
  [[nodiscard]] const std::vector<std::shared_ptr<x509_st>>& all() const noexcept { return all_; }

 private:
  std::vector<std::shared_ptr<x509_st>> all_;
};

/// A TimeStampReq (DER) for the SHA-256 of a message: version 1, a random nonce of 63 bits, certificates asked for.
[[nodiscard]] Result<Bytes> stamp_request(ByteView message);

/// What an authority says: the message existed at `time`.
struct Stamp {
  std::string time;       ///< UTC, genTime and accuracy added and rounded up to a second, such as 2026-11-01T12:00:00Z: not later than this
  std::string authority;  ///< subject of the certificate that signed, one line (RFC 2253), printable ASCII
  Bytes imprint;          ///< the digest in the stamp
  bool right_hash = false;  ///< the digest is SHA-256's
};

/// A TimeStampResp (DER), taken apart; nothing is believed yet. One thread at a time.
class StampReply {
 public:
  /// `bad_input`: not exactly one reply in DER that grants a token of the form of specs/evidence.md, with a time in UTC and the certificate of the one who signed it.
  [[nodiscard]] static Result<StampReply> parse(ByteView der);
  [[nodiscard]] const Stamp& stamp() const noexcept { return stamp_; }
  /// Is the token signed by the certificate that it carries and names (ESSCertID or ESSCertIDv2), and is that one for time stamps alone? `invalid_evidence` if not.
  [[nodiscard]] Result<void> verify() const;
  /// The same, and a chain leads from that certificate to one of these, all valid at the stamp's time and not for other uses alone. Revocation is not looked up.
  [[nodiscard]] Result<void> verify(const Certificates& trusted) const;
  /// Does the token answer this request: its nonce and its imprint? `invalid_evidence` if not.
  [[nodiscard]] Result<void> answers(ByteView request) const;

 private:
  StampReply() = default;
  struct Parts;
  std::shared_ptr<const Parts> parts_;
  Stamp stamp_;
};

}  // namespace heirmark::crypto
