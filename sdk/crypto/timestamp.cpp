#include "crypto/timestamp.hpp"

#include <algorithm>
#include <ctime>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ess.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/ts.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/text.hpp"
#include "crypto/owned.hpp"
#include "crypto/sha256.hpp"

namespace heirmark::crypto {
namespace {

void free_stack(STACK_OF(X509)* stack) { sk_X509_free(stack); }  // not what is in it
using Bio = Owned<BIO, BIO_free>;
using Request = Owned<TS_REQ, TS_REQ_free>;
using Number = Owned<ASN1_INTEGER, ASN1_INTEGER_free>;
using Store = Owned<X509_STORE, X509_STORE_free>;
using Signers = Owned<STACK_OF(X509), free_stack>;

/// Nothing of a stranger's bytes stays in the thread's queue of errors.
struct CleanErrors {
  CleanErrors() = default;
  CleanErrors(const CleanErrors&) = delete;
  CleanErrors& operator=(const CleanErrors&) = delete;
  ~CleanErrors() { ERR_clear_error(); }
};

Error bad(const char* what) { return {ErrorCode::bad_input, what}; }
Error broken(std::string what) { return {ErrorCode::invalid_evidence, std::move(what)}; }

/// What OpenSSL found first, without the places in its own source.
std::string reason() {
  const char* data = nullptr;
  int flags = 0;
  const unsigned long code = ERR_peek_error_data(&data, &flags);
  const char* words = code == 0 ? nullptr : ERR_reason_error_string(code);
  std::string out = words == nullptr ? "refused" : words;
  if (data != nullptr && (flags & ERR_TXT_STRING) != 0 && *data != '\0') out += std::string(", ") + data;
  return text::printable(out);
}

std::int64_t small(const ASN1_INTEGER* number) {
  std::int64_t value = -1;
  return number == nullptr ? 0 : ASN1_INTEGER_get_int64(&value, number) == 1 ? value : -1;
}

/// genTime plus accuracy, rounded up to a second.
struct Times { std::time_t generated = 0; std::string not_later; };
Result<Times> times_of(TS_TST_INFO* info) {
  const ASN1_GENERALIZEDTIME* generated = TS_TST_INFO_get_time(info);
  const std::string_view text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(generated)), static_cast<std::size_t>(ASN1_STRING_length(generated)));
  constexpr std::size_t kDigits = 14;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.size() <= kDigits || text.back() != 'Z' || !std::all_of(text.begin(), text.begin() + kDigits, digit)) return bad("its time is not one in UTC");
  const std::string_view fraction = text.substr(kDigits, text.size() - kDigits - 1);
  if (!fraction.empty() && (fraction[0] != '.' || fraction.size() < 2 || !std::all_of(fraction.begin() + 1, fraction.end(), digit))) return bad("its time is not one in UTC");
  const std::string plain = std::string(text.substr(0, 4)) + "-" + std::string(text.substr(4, 2)) + "-" + std::string(text.substr(6, 2)) + "T" + std::string(text.substr(8, 2)) + ":" +
                            std::string(text.substr(10, 2)) + ":" + std::string(text.substr(12, 2)) + "Z";
  if (!text::is_time(plain)) return bad("its time does not exist");

  constexpr std::int64_t kSecond = 1'000'000, kDay = 86'400;  // microseconds, seconds
  std::int64_t micros = 0;
  bool rest = false;
  std::int64_t unit = kSecond / 10;
  for (const char c : fraction.empty() ? fraction : fraction.substr(1)) {
    if (unit > 0) micros += unit * (c - '0');
    else rest = rest || c != '0';
    unit /= 10;
  }
  if (const TS_ACCURACY* accuracy = TS_TST_INFO_get_accuracy(info)) {
    const std::int64_t seconds = small(TS_ACCURACY_get_seconds(accuracy)), millis = small(TS_ACCURACY_get_millis(accuracy)), more = small(TS_ACCURACY_get_micros(accuracy));
    if (seconds < 0 || seconds > kDay || millis < 0 || millis > 999 || more < 0 || more > 999) return bad("its accuracy is out of range, or more than a day");
    micros += seconds * kSecond + millis * 1'000 + more;
  }
  std::tm fields{};
  const auto number = [&text](std::size_t at, std::size_t count) { return std::stoi(std::string(text.substr(at, count))); };
  fields.tm_year = number(0, 4) - 1900;
  fields.tm_mon = number(4, 2) - 1;
  fields.tm_mday = number(6, 2);
  fields.tm_hour = number(8, 2);
  fields.tm_min = number(10, 2);
  fields.tm_sec = number(12, 2);
  Times out;
  out.generated = timegm(&fields);
  const std::time_t later = out.generated + static_cast<std::time_t>((micros + (rest ? 1 : 0) + kSecond - 1) / kSecond);
  gmtime_r(&later, &fields);
  char written[32] = {};
  std::strftime(written, sizeof written, "%Y-%m-%dT%H:%M:%SZ", &fields);
  out.not_later = written;
  if (!text::is_time(out.not_later)) return bad("its time does not exist");
  return out;
}

/// One line, cut where it is too long for a person.
std::string subject(const X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &data);
  constexpr std::size_t kLongest = 200;
  const std::string_view whole(data, static_cast<std::size_t>(std::max(0L, length)));
  return whole.empty() ? "a certificate without a name" : whole.size() > kLongest ? text::printable(whole, kLongest - 4) + " ..." : text::printable(whole);
}

/// What an authority says of its refusal.
std::string words_of(const TS_STATUS_INFO* status) {
  std::string out;
  const STACK_OF(ASN1_UTF8STRING)* text = TS_STATUS_INFO_get0_text(status);
  for (int i = 0; i < sk_ASN1_UTF8STRING_num(text); ++i) {
    const ASN1_UTF8STRING* line = sk_ASN1_UTF8STRING_value(text, i);
    out += (out.empty() ? ": " : "; ") + std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(line)), static_cast<std::size_t>(ASN1_STRING_length(line)));
  }
  return text::printable(out);
}

using Chain = STACK_OF(X509);

/// May this certificate, of a chain, have to do with time stamps? The one that signs is for them alone; OpenSSL asks of those above it only that they are authorities,
/// and one that is restricted to TLS servers is.
bool fit_for_stamps(X509* certificate, int depth) {
  const Owned<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free> usage(static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(certificate, NID_ext_key_usage, nullptr, nullptr)));
  if (depth == 0) return usage && sk_ASN1_OBJECT_num(usage.get()) == 1;
  const std::uint32_t allowed = X509_get_extended_key_usage(certificate);
  return !usage || (allowed & (XKU_TIMESTAMP | XKU_ANYEKU)) != 0;
}

constexpr int kLeastBits = 112;

/// OpenSSL looks neither at the times nor at the signature of the last certificate of a chain if its issuer is not there, and does not say that it found it good.
int error_of_last(X509_STORE_CTX* context) {
  const Chain* const chain = X509_STORE_CTX_get0_chain(context);
  X509* const last = sk_X509_value(chain, sk_X509_num(chain) - 1);
  std::time_t at = X509_VERIFY_PARAM_get_time(X509_STORE_CTX_get0_param(context));
  if (X509_cmp_time(X509_get0_notBefore(last), &at) > 0) return X509_V_ERR_CERT_NOT_YET_VALID;
  if (X509_cmp_time(X509_get0_notAfter(last), &at) < 0) return X509_V_ERR_CERT_HAS_EXPIRED;
  if (!fit_for_stamps(last, sk_X509_num(chain) - 1)) return X509_V_ERR_INVALID_PURPOSE;
  int bits = 0;
  const bool strong = X509_self_signed(last, 0) == 1 || (X509_get_signature_info(last, nullptr, nullptr, &bits, nullptr) == 1 && bits >= kLeastBits);
  return strong ? X509_V_OK : X509_V_ERR_CA_MD_TOO_WEAK;
}

int refuse(X509_STORE_CTX* context, int error) {
  X509_STORE_CTX_set_error(context, error);
  return 0;
}

/// OpenSSL asks for each certificate that it found good, and for each fault.
int with_anchor(int good, X509_STORE_CTX* context) {
  X509* const certificate = X509_STORE_CTX_get_current_cert(context);
  if (good == 1 && certificate != nullptr && !fit_for_stamps(certificate, X509_STORE_CTX_get_error_depth(context))) return refuse(context, X509_V_ERR_INVALID_PURPOSE);
  return good;
}

/// Of a chain that nobody vouches for the anchor may be missing, and nothing else.
int without_anchor(int good, X509_STORE_CTX* context) {
  if (good != 0) return with_anchor(good, context);
  switch (X509_STORE_CTX_get_error(context)) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: break;
    default: return 0;
  }
  const int error = error_of_last(context);
  return error == X509_V_OK ? 1 : refuse(context, error);
}

/// Of the signed attributes of that kind exactly one, of that type; null if not.
const ASN1_TYPE* only_attribute(const PKCS7_SIGNER_INFO* signer, int nid, int type) {
  const STACK_OF(X509_ATTRIBUTE)* const all = PKCS7_get_signed_attributes(signer);
  const int at = X509at_get_attr_by_NID(all, nid, -1);
  if (at < 0 || X509at_get_attr_by_NID(all, nid, at) >= 0) return nullptr;
  X509_ATTRIBUTE* const attribute = X509at_get_attr(all, at);
  const ASN1_TYPE* const value = X509_ATTRIBUTE_count(attribute) == 1 ? X509_ATTRIBUTE_get0_type(attribute, 0) : nullptr;
  return value != nullptr && value->type == type ? value : nullptr;
}

template <class T, auto write>
bool is_der(const T* object, ByteView bytes) {
  std::uint8_t* again = nullptr;
  const int length = write(object, &again);
  const bool same = length > 0 && std::equal(bytes.begin(), bytes.end(), again, again + length);
  OPENSSL_free(again);
  return same;
}

/// What a token must be and OpenSSL takes otherwise too: nothing that is dear to check (each algorithm becomes a filter, and a frame on the stack), nothing that was signed as something
/// else than a time stamp, no weak digest, no member of another type than its standard's. Null: nothing is wrong.
const char* wrong_form(PKCS7* token, TS_TST_INFO* info) {
  constexpr int kMostAlgorithms = 8, kMostCertificates = 32, kLongestNames = 4096;
  const PKCS7_SIGNED* const data = token->d.sign;
  if (sk_X509_ALGOR_num(data->md_algs) > kMostAlgorithms || sk_X509_num(data->cert) > kMostCertificates) return "more algorithms or certificates in it than a time stamp has";
  const STACK_OF(PKCS7_SIGNER_INFO)* const signers = PKCS7_get_signer_info(token);
  if (sk_PKCS7_SIGNER_INFO_num(signers) != 1) return "not signed once";
  PKCS7_SIGNER_INFO* const signer = sk_PKCS7_SIGNER_INFO_value(signers, 0);
  const ASN1_TYPE* const content = only_attribute(signer, NID_pkcs9_contentType, V_ASN1_OBJECT);
  if (content == nullptr || OBJ_obj2nid(content->value.object) != NID_id_smime_ct_TSTInfo) return "it was not signed as a time stamp";
  if (only_attribute(signer, NID_pkcs9_messageDigest, V_ASN1_OCTET_STRING) == nullptr) return "it has no one digest of what was signed";
  const auto is_one_of = [](int nid, std::initializer_list<int> known) { return std::find(known.begin(), known.end(), nid) != known.end(); };
  // A list, so that one bag is valid with every OpenSSL or with none.
  if (!is_one_of(OBJ_obj2nid(signer->digest_alg->algorithm), {NID_sha224, NID_sha256, NID_sha384, NID_sha512, NID_sha512_224, NID_sha512_256, NID_sha3_224, NID_sha3_256, NID_sha3_384, NID_sha3_512}))
    return "it is signed with another digest than SHA-2 or SHA-3 of 224 bits or more";
  bool named = false;
  for (const int nid : {NID_id_smime_aa_signingCertificate, NID_id_smime_aa_signingCertificateV2}) {
    if (X509at_get_attr_by_NID(PKCS7_get_signed_attributes(signer), nid, -1) < 0) continue;
    const ASN1_TYPE* const names = only_attribute(signer, nid, V_ASN1_SEQUENCE);
    if (names == nullptr || ASN1_STRING_length(names->value.sequence) > kLongestNames) return "it does not name its certificate as RFC 5816 says";
    named = true;
  }
  if (!named) return "it does not name its certificate";
  const ASN1_TYPE* const inside = PKCS7_type_is_other(data->contents) == 1 ? data->contents->d.other : nullptr;
  if (inside == nullptr || inside->type != V_ASN1_OCTET_STRING) return "nothing in it that is stamped";
  const ASN1_OCTET_STRING* const octets = inside->value.octet_string;
  if (!is_der<TS_TST_INFO, i2d_TS_TST_INFO>(info, {ASN1_STRING_get0_data(octets), static_cast<std::size_t>(ASN1_STRING_length(octets))})) return "what it says is not in DER";
  if (TS_TST_INFO_get_ext_by_critical(info, 1, -1) >= 0) return "an extension in it that has to be understood, and is not";
  return nullptr;
}
}  // namespace

struct StampReply::Parts {
  Owned<TS_RESP, TS_RESP_free> reply;
  std::time_t generated = 0;

  [[nodiscard]] Result<void> verify(const Certificates* trusted) const {
    const CleanErrors clean;
    ERR_clear_error();
    const Store store(X509_STORE_new());
    if (!store) return Error{ErrorCode::io, "OpenSSL makes no store of certificates"};
    X509_STORE_set_verify_cb(store.get(), trusted == nullptr ? without_anchor : with_anchor);
    if (trusted != nullptr)
      for (const auto& certificate : trusted->all()) X509_STORE_add_cert(store.get(), certificate.get());
    X509_VERIFY_PARAM* const wanted = X509_STORE_get0_param(store.get());
    X509_VERIFY_PARAM_set_time(wanted, generated);  // an authority's certificate may have ended since
    constexpr int kLevel = 2;  // OpenSSL's for kLeastBits: no SHA-1, no RSA below 2,048 bits
    X509_VERIFY_PARAM_set_auth_level(wanted, kLevel);
    if (trusted != nullptr) X509_VERIFY_PARAM_set_flags(wanted, X509_V_FLAG_PARTIAL_CHAIN);  // an intermediate that the caller trusts is trusted
    const Owned<TS_VERIFY_CTX, TS_VERIFY_CTX_free> context(TS_VERIFY_CTX_new());
    if (!context || X509_STORE_up_ref(store.get()) != 1) return Error{ErrorCode::io, "OpenSSL cannot check a time stamp"};
    TS_VERIFY_CTX_set_flags(context.get(), TS_VFY_SIGNATURE | TS_VFY_VERSION | TS_VFY_SIGNER);
#if OPENSSL_VERSION_NUMBER >= 0x30400000L
    TS_VERIFY_CTX_set0_store(context.get(), store.get());
#else
    TS_VERIFY_CTX_set_store(context.get(), store.get());
#endif
    if (TS_RESP_verify_token(context.get(), TS_RESP_get_token(reply.get())) != 1) return broken("the time stamp does not check: " + reason());
    return {};
  }
};

Result<Certificates> Certificates::from_pem(std::string_view pem) {
  const CleanErrors clean;
  ERR_clear_error();
  constexpr std::size_t kLongest = std::size_t{16} << 20;
  if (pem.size() > kLongest) return bad("too long for certificates in PEM");
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Certificates out;
  for (;;) {
    char *name = nullptr, *header = nullptr;
    std::uint8_t* data = nullptr;
    long length = 0;
    if (PEM_read_bio(bio.get(), &name, &header, &data, &length) != 1) break;
    // A key here is a mistake that should be told, and a certificate with trust settings of OpenSSL's says more than we would heed.
    const bool certificate = std::string_view(name) == PEM_STRING_X509 || std::string_view(name) == PEM_STRING_X509_OLD;
    const std::uint8_t* at = data;
    X509* const one = certificate ? d2i_X509(nullptr, &at, length) : nullptr;
    const bool whole = one != nullptr && at == data + length;
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<std::size_t>(length));
    if (one != nullptr) out.all_.emplace_back(one, X509_free);
    if (!certificate) return bad("something else than certificates in PEM");
    if (!whole) return bad("a certificate in PEM that cannot be read");
  }
  if (const unsigned long code = ERR_peek_last_error(); ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) != PEM_R_NO_START_LINE)
    return bad("a certificate in PEM that cannot be read");
  if (out.all_.empty()) return bad("no certificate in PEM");
  return out;
}

Result<Bytes> stamp_request(ByteView message) {
  const CleanErrors clean;
  std::array<std::uint8_t, 8> random{};
  if (auto done = random_bytes(random); !done) return done.error();
  random[0] = static_cast<std::uint8_t>((random[0] & 0x7f) | 0x40);  // positive, and always as long
  const Owned<BIGNUM, BN_free> nonce(BN_bin2bn(random.data(), static_cast<int>(random.size()), nullptr));
  const Number number(BN_to_ASN1_INTEGER(nonce.get(), nullptr));
  const Owned<TS_MSG_IMPRINT, TS_MSG_IMPRINT_free> imprint(TS_MSG_IMPRINT_new());
  const Owned<X509_ALGOR, X509_ALGOR_free> algorithm(X509_ALGOR_new());
  const Request request(TS_REQ_new());
  Digest digest = sha256(message);
  if (!number || !imprint || !algorithm || !request || X509_ALGOR_set0(algorithm.get(), OBJ_nid2obj(NID_sha256), V_ASN1_NULL, nullptr) != 1 ||
      TS_MSG_IMPRINT_set_algo(imprint.get(), algorithm.get()) != 1 || TS_MSG_IMPRINT_set_msg(imprint.get(), digest.data(), static_cast<int>(digest.size())) != 1 ||
      TS_REQ_set_version(request.get(), 1) != 1 || TS_REQ_set_msg_imprint(request.get(), imprint.get()) != 1 || TS_REQ_set_nonce(request.get(), number.get()) != 1 ||
      TS_REQ_set_cert_req(request.get(), 1) != 1)
    return Error{ErrorCode::io, "OpenSSL cannot make a request for a time stamp"};
  std::uint8_t* data = nullptr;
  const int length = i2d_TS_REQ(request.get(), &data);
  if (length <= 0) return Error{ErrorCode::io, "OpenSSL cannot write a request for a time stamp"};
  Bytes out(data, data + length);
  OPENSSL_free(data);
  return out;
}

Result<StampReply> StampReply::parse(ByteView der) {
  const CleanErrors clean;
  constexpr std::size_t kLongest = std::size_t{1} << 20;  // with one certificate it is a KB
  if (der.size() > kLongest) return bad("too long for the reply of a time-stamping authority");
  auto parts = std::make_shared<Parts>();
  const std::uint8_t* at = der.data();
  parts->reply.reset(d2i_TS_RESP(nullptr, &at, static_cast<long>(der.size())));
  if (!parts->reply || at != der.data() + der.size() || !is_der<TS_RESP, i2d_TS_RESP>(parts->reply.get(), der)) return bad("not the reply of a time-stamping authority (RFC 3161, DER)");
  const ASN1_INTEGER* status = TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(parts->reply.get()));
  TS_TST_INFO* info = TS_RESP_get_tst_info(parts->reply.get());
  if (const std::int64_t granted = small(status); (granted != 0 && granted != 1) || info == nullptr || TS_RESP_get_token(parts->reply.get()) == nullptr)
    return Error{ErrorCode::bad_input, "the authority did not grant a time stamp" + words_of(TS_RESP_get_status_info(parts->reply.get()))};
  if (TS_TST_INFO_get_version(info) != 1) return bad("a time stamp of another version than 1");
  if (const char* wrong = wrong_form(TS_RESP_get_token(parts->reply.get()), info)) return bad(wrong);
  const auto times = times_of(info);
  if (!times) return times.error();
  parts->generated = times->generated;
  const Signers signers(PKCS7_get0_signers(TS_RESP_get_token(parts->reply.get()), nullptr, 0));
  if (!signers || sk_X509_num(signers.get()) != 1) return bad("it does not carry the one certificate that signed it");
  const EVP_PKEY* const key = X509_get0_pubkey(sk_X509_value(signers.get(), 0));  // null: of no kind that OpenSSL knows, or broken
  if (const int kind = key == nullptr ? EVP_PKEY_NONE : EVP_PKEY_get_base_id(key); kind != EVP_PKEY_RSA && kind != EVP_PKEY_EC) return bad("it is signed by another kind of key than RSA or ECDSA");
  TS_MSG_IMPRINT* imprint = TS_TST_INFO_get_msg_imprint(info);
  const ASN1_OBJECT* hash = nullptr;
  int parameters = V_ASN1_UNDEF;
  X509_ALGOR_get0(&hash, &parameters, nullptr, TS_MSG_IMPRINT_get_algo(imprint));
  if (parameters != V_ASN1_UNDEF && parameters != V_ASN1_NULL) return bad("a digest with parameters");
  const ASN1_OCTET_STRING* digest = TS_MSG_IMPRINT_get_msg(imprint);
  StampReply out;
  out.stamp_.time = times->not_later;
  out.stamp_.authority = subject(sk_X509_value(signers.get(), 0));
  out.stamp_.imprint.assign(ASN1_STRING_get0_data(digest), ASN1_STRING_get0_data(digest) + ASN1_STRING_length(digest));
  out.stamp_.right_hash = OBJ_obj2nid(hash) == NID_sha256;
  out.parts_ = std::move(parts);
  return out;
}

Result<void> StampReply::verify() const { return parts_->verify(nullptr); }
Result<void> StampReply::verify(const Certificates& trusted) const { return parts_->verify(&trusted); }

Result<void> StampReply::answers(ByteView request) const {
  const CleanErrors clean;
  const std::uint8_t* at = request.data();
  const Request asked(d2i_TS_REQ(nullptr, &at, static_cast<long>(request.size())));
  if (!asked || at != request.data() + request.size()) return bad("not a request for a time stamp");
  TS_TST_INFO* info = TS_RESP_get_tst_info(parts_->reply.get());
  const ASN1_INTEGER *mine = TS_REQ_get_nonce(asked.get()), *theirs = TS_TST_INFO_get_nonce(info);
  if (mine != nullptr && (theirs == nullptr || ASN1_INTEGER_cmp(mine, theirs) != 0)) return broken("the time stamp answers another request");
  const ASN1_OCTET_STRING* digest = TS_MSG_IMPRINT_get_msg(TS_REQ_get_msg_imprint(asked.get()));
  if (!std::equal(stamp_.imprint.begin(), stamp_.imprint.end(), ASN1_STRING_get0_data(digest), ASN1_STRING_get0_data(digest) + ASN1_STRING_length(digest)))
    return broken("the time stamp is about other bytes than were asked for");
  return {};
}

}  // namespace heirmark::crypto
