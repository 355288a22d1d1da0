#include "crypto/timestamp.hpp"

#include <algorithm>
#include <ctime>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/ts.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/text.hpp"
#include "crypto/sha256.hpp"

namespace heirmark::crypto {
namespace {

template <auto function>
struct FreeWith {
  template <class T>
  void operator()(T* object) const { function(object); }
};
template <class T, auto function>
using Owned = std::unique_ptr<T, FreeWith<function>>;
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

std::string subject(const X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &data);
  return text::printable({data, static_cast<std::size_t>(std::max(0L, length))});
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

/// Of a chain that nobody vouches for only this is wrong.
int without_anchor(int good, X509_STORE_CTX* context) {
  switch (X509_STORE_CTX_get_error(context)) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: return 1;
    default: return good;
  }
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
    if (trusted == nullptr) X509_STORE_set_verify_cb(store.get(), without_anchor);
    else
      for (const auto& certificate : trusted->all()) X509_STORE_add_cert(store.get(), certificate.get());
    X509_VERIFY_PARAM* const wanted = X509_STORE_get0_param(store.get());
    X509_VERIFY_PARAM_set_time(wanted, generated);  // an authority's certificate may have ended since
    constexpr int kBits112 = 2;  // the level of OpenSSL that refuses SHA-1 and RSA below 2,048 bits
    X509_VERIFY_PARAM_set_auth_level(wanted, kBits112);
    if (trusted != nullptr) X509_VERIFY_PARAM_set_flags(wanted, X509_V_FLAG_PARTIAL_CHAIN);  // an intermediate that the caller trusts is trusted
    if (TS_RESP_verify_signature(TS_RESP_get_token(reply.get()), nullptr, store.get(), nullptr) != 1) return broken("the time stamp does not check: " + reason());
    return {};
  }
};

Result<Certificates> Certificates::from_pem(std::string_view pem) {
  const CleanErrors clean;
  ERR_clear_error();
  constexpr std::size_t kLongest = std::size_t{16} << 20;  // the system's roots are 200 KB
  if (pem.size() > kLongest) return bad("too long for certificates in PEM");
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  Certificates out;
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)) out.all_.emplace_back(one, X509_free);
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
  constexpr std::size_t kLongest = std::size_t{1} << 20;  // real ones have 1 to 10 KB
  if (der.size() > kLongest) return bad("too long for the reply of a time-stamping authority");
  auto parts = std::make_shared<Parts>();
  const std::uint8_t* at = der.data();
  parts->reply.reset(d2i_TS_RESP(nullptr, &at, static_cast<long>(der.size())));
  if (!parts->reply || at != der.data() + der.size()) return bad("not the reply of a time-stamping authority (RFC 3161, DER)");
  const ASN1_INTEGER* status = TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(parts->reply.get()));
  TS_TST_INFO* info = TS_RESP_get_tst_info(parts->reply.get());
  if (const std::int64_t granted = small(status); (granted != 0 && granted != 1) || info == nullptr || TS_RESP_get_token(parts->reply.get()) == nullptr)
    return Error{ErrorCode::bad_input, "the authority did not grant a time stamp" + words_of(TS_RESP_get_status_info(parts->reply.get()))};
  if (TS_TST_INFO_get_version(info) != 1) return bad("a time stamp of another version than 1");
  const auto times = times_of(info);
  if (!times) return times.error();
  parts->generated = times->generated;
  const Signers signers(PKCS7_get0_signers(TS_RESP_get_token(parts->reply.get()), nullptr, 0));
  if (!signers || sk_X509_num(signers.get()) != 1) return bad("it does not carry the one certificate that signed it");
  TS_MSG_IMPRINT* imprint = TS_TST_INFO_get_msg_imprint(info);
  const ASN1_OBJECT* hash = nullptr;
  X509_ALGOR_get0(&hash, nullptr, nullptr, TS_MSG_IMPRINT_get_algo(imprint));
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
