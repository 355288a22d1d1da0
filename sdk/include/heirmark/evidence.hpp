// Evidence: signed statements, the bag, and its verification from raw bytes (specs/evidence.md, specs/evidence-codes.md).
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <heirmark/detect.hpp>
#include <heirmark/result.hpp>

namespace heirmark {

/// What has a statement, in the order of making.
enum class Object : std::uint8_t { commitment, ledger, plan, transcript, verdict };
inline constexpr Object kObjects[] = {Object::commitment, Object::ledger, Object::plan, Object::transcript, Object::verdict};
[[nodiscard]] std::string_view object_name(Object object) noexcept;  ///< "commitment", ..
[[nodiscard]] std::string_view object_file(Object object) noexcept;  ///< "commitment.json", "ledger.jsonl", ..
/// "provider" for commitment and ledger, else "auditor".
[[nodiscard]] std::string_view object_role(Object object) noexcept;

/// Somebody who signs: a public key and a callback that returns the raw Ed25519 signature (64 bytes) or the DER ECDSA P-256
/// signature with SHA-256 over the message. The private key stays where it is.
struct Signer {
  std::string public_pem;
  std::function<Result<std::vector<std::uint8_t>>(std::span<const std::uint8_t> message)> sign;
};

/// A member of a predicate: the digest (hex) of something that the object builds on, for example {"plan", "01ab.."}.
struct Binding { std::string name, digest; };

/// The DSSE envelope (file bytes) of an object's statement. `bytes` is the object's file. Bindings are those of specs/evidence.md.
[[nodiscard]] Result<std::string> make_statement(Object object, std::string_view bytes, const std::vector<Binding>& bindings,
                                                 std::string_view date, const Signer& signer);

/// The date of the statement about these bytes that lies in the folder already, by this signer and about what lies there; "" if there is none. One that is not so is an
/// error, `usage`: an early date is evidence, and is not replaced by a later one.
[[nodiscard]] Result<std::string> signed_before(const std::filesystem::path& folder, Object object, std::string_view bytes, const Signer& signer);

/// Refuses with `key` when the folder's trust/ROLE.pem holds another key than that of whoever is to sign an object of it.
[[nodiscard]] Result<void> check_signer(const std::filesystem::path& folder, Object object, const Signer& signer);

/// Signs one object of a case's folder: reads the file and what it builds on, writes statements/NAME.dsse.json and
/// trust/ROLE.pem, after check_signer. Stamps of a statement that is replaced go with it.
[[nodiscard]] Result<void> sign_object(const std::filesystem::path& folder, Object object, std::string_view date, const Signer& signer);

/// As many authorities may stamp a statement: slots 1 and 2.
inline constexpr unsigned kStampSlots = 2;
/// What the time stamp of a third party says (RFC 3161): the statement existed no later than `time`.
struct TimeStamp {
  std::string time;       ///< YYYY-MM-DDThh:mm:ssZ: the authority's time and its accuracy, rounded up to a second
  std::string authority;  ///< subject of the certificate that signed, as RFC 2253 writes it
};
/// The request (TimeStampReq, DER) to an authority for a statement's envelope, with a random nonce.
[[nodiscard]] Result<std::string> make_stamp_request(std::string_view statement);
/// Reads an authority's reply (TimeStampResp, DER) about a statement's envelope. `invalid_evidence` if it is about other bytes, answers another request (if one is given), or is not
/// signed by the certificate in it. Nobody vouches for that certificate: verify_bag does, with certificates of authorities.
[[nodiscard]] Result<TimeStamp> read_stamp(std::string_view statement, std::string_view reply, std::string_view request = {});
/// "stamps/plan-1.tsr".
[[nodiscard]] std::string stamp_file(Object object, unsigned slot);
/// Writes a reply, after read_stamp, beside the statement in a folder. `usage` if that slot has a stamp already, or another slot this very one: an early time is evidence, and is not replaced by a later one.
[[nodiscard]] Result<TimeStamp> add_stamp(const std::filesystem::path& folder, Object object, unsigned slot, std::string_view reply, std::string_view request = {});

/// Packs a case's folder into folder/bag (written under another name first, then renamed; an older bag is replaced). Calls wait for each other. `check` gets the new bag's
/// folder before it takes its place; with its error an older bag stays.
[[nodiscard]] Result<void> make_bag(const std::filesystem::path& folder, const std::function<Result<void>(const std::filesystem::path& fresh)>& check = {});

enum class Level : std::uint8_t { ok, note, fail };
[[nodiscard]] std::string_view level_name(Level level) noexcept;
/// One thing that was checked. `code` is stable (specs/evidence-codes.md); `detail` is for a person.
struct Check { std::string code; Level level = Level::ok; std::string detail; };

enum class BagState : std::uint8_t { valid, invalid, valid_but_untrusted };
[[nodiscard]] std::string_view bag_state_name(BagState state) noexcept;  ///< "valid", "invalid", "valid-but-untrusted"

struct VerifyReport {
  BagState state = BagState::invalid;
  std::vector<Check> checks;
  std::string plan_id, outcome, log10_p, log10_e;  ///< of the bag; "" when unreadable
  [[nodiscard]] bool has(std::string_view code, Level level) const noexcept;
};
/// A public key in PEM that the caller trusts, as that of a role ("provider", "auditor") or, with "", of either.
struct TrustRoot {
  std::string public_pem, role;
  std::string name;  ///< what an error calls it, such as its file; "": "a trust root"
  TrustRoot(std::string pem, std::string of = {}, std::string file = {}) : public_pem(std::move(pem)), role(std::move(of)), name(std::move(file)) {}  // NOLINT(google-explicit-constructor): a key is a root
};
/// Certificates (PEM, one or more) whose holders the caller trusts to issue, or to name those who issue, time stamps.
struct StampRoot {
  std::string pem;
  std::string name;  ///< what an error calls it, such as its file
};
struct VerifyOptions {
  std::vector<TrustRoot> trust_roots;  ///< empty: none were given
  std::vector<StampRoot> stamp_roots;  ///< empty: none were given. With them every statement but the verdict's needs a stamp that one of them vouches for
  Device device = Device::cpu;           ///< of the sums of C1 when the verdict is recomputed
  unsigned threads = 1;
  std::uint64_t max_object = 1ull << 24;   ///< bytes of a JSON object, statement or key
  std::uint64_t max_records = 1ull << 33;  ///< bytes of a JSON Lines file or of the verdict
  bool recompute = true;  ///< false: neither the verdict is computed nor are records read again, for whoever has computed it from these files a moment ago
  std::function<bool(double)> progress;    ///< of recomputing the verdict; false stops with ErrorCode::stopped
};
/// Verifies a bag. An error is about reading it or the device (`io`), or `stopped`; whatever is wrong with the evidence is in the report.
[[nodiscard]] Result<VerifyReport> verify_bag(const std::filesystem::path& bag, const VerifyOptions& options);

/// How far a case has come: planned and signed, before the first query; or sealed, all queries made and the transcript signed.
enum class Stage : std::uint8_t { planned, sealed };
/// What verify_bag would say of those objects, bindings, signatures and dates in a case's folder that belong to the stage; records are not read again.
/// Of a plan, statements and key of the provider that are not there yet are notes. An error is about reading.
[[nodiscard]] Result<VerifyReport> check_case(const std::filesystem::path& folder, Stage stage);

}  // namespace heirmark
