// A time-stamping authority for tests: a root, an issuing certificate, and replies as right or as wrong as a test wants them.
#pragma once
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/ess.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/ts.h>
#include <openssl/x509v3.h>

namespace authority {

inline void need(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string("test authority: ") + what);
}

struct Options {
  std::string name = "Test Authority";
  std::time_t from = 1'700'000'000, until = 2'000'000'000;  ///< of the issuing certificate
  const char* usage = "critical,timeStamping";               ///< extended key usage
  int rsa_bits = 0;                                          ///< 0: P-256
};

/// What a reply says.
struct Reply {
  std::string time;  ///< as ASN.1 GeneralizedTime writes it, 20261101120000Z
  int seconds = 0, millis = 0, micros = 0;  ///< accuracy; none if all are 0
  int status = 0;
  const char* words = nullptr;  ///< of a refusal
  bool certificates = true;     ///< in the token
  bool nonce = true;            ///< of the request
  const char* hash = "SHA256";  ///< that the imprint calls itself
  int version = 1;
};

class Authority {
 public:
  explicit Authority(const Options& options = {}) {
    root_key_ = EVP_EC_gen("P-256");
    key_ = options.rsa_bits > 0 ? EVP_RSA_gen(static_cast<unsigned>(options.rsa_bits)) : EVP_EC_gen("P-256");
    root_ = certificate("Root of " + options.name, "Root of " + options.name, root_key_, root_key_, 1'600'000'000, 2'100'000'000, {{NID_basic_constraints, "critical,CA:TRUE"}, {NID_key_usage, "critical,keyCertSign"}});
    own_ = certificate(options.name, "Root of " + options.name, key_, root_key_, options.from, options.until, {{NID_key_usage, "critical,digitalSignature"}, {NID_ext_key_usage, options.usage}});
  }
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;
  ~Authority() {
    X509_free(root_);
    X509_free(own_);
    EVP_PKEY_free(root_key_);
    EVP_PKEY_free(key_);
  }

  [[nodiscard]] std::string root_pem() const { return pem(root_); }
  [[nodiscard]] std::string own_pem() const { return pem(own_); }

  /// The reply (TimeStampResp, DER) to a request (TimeStampReq, DER).
  [[nodiscard]] std::string answer(std::string_view request, const Reply& reply) const {
    const auto* at = reinterpret_cast<const unsigned char*>(request.data());
    const std::unique_ptr<TS_REQ, void (*)(TS_REQ*)> asked(d2i_TS_REQ(nullptr, &at, static_cast<long>(request.size())), TS_REQ_free);
    need(asked != nullptr, "not a request");
    const std::unique_ptr<TS_RESP, void (*)(TS_RESP*)> response(TS_RESP_new(), TS_RESP_free);
    const std::unique_ptr<TS_STATUS_INFO, void (*)(TS_STATUS_INFO*)> status(TS_STATUS_INFO_new(), TS_STATUS_INFO_free);
    TS_STATUS_INFO_set_status(status.get(), reply.status);
    if (reply.words != nullptr) {
      // The text has no setter: a status with it is written by hand. SEQUENCE { INTEGER status, SEQUENCE { UTF8String } }
      const std::string words(reply.words), text = tlv(0x0c, words), info = tlv(0x30, tlv(0x02, std::string(1, static_cast<char>(reply.status))) + tlv(0x30, text));
      return tlv(0x30, info);
    }
    TS_RESP_set_status_info(response.get(), status.get());
    if (reply.status <= 1) {
      TS_TST_INFO* info = token_info(asked.get(), reply);
      TS_RESP_set_tst_info(response.get(), token(info, reply), info);
    }
    unsigned char* data = nullptr;
    const int length = i2d_TS_RESP(response.get(), &data);
    need(length > 0, "no reply");
    std::string out(reinterpret_cast<char*>(data), static_cast<std::size_t>(length));
    OPENSSL_free(data);
    return out;
  }

 private:
  static std::string tlv(int tag, const std::string& value) {
    need(value.size() < 128, "a long value");
    return std::string{static_cast<char>(tag), static_cast<char>(value.size())} + value;
  }
  static std::string pem(X509* certificate) {
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_X509(bio.get(), certificate);
    char* data = nullptr;
    const long length = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(length)};
  }
  struct Extension { int nid; const char* value; };
  static X509* certificate(const std::string& subject, const std::string& issuer, EVP_PKEY* key, EVP_PKEY* signer, std::time_t from, std::time_t until, std::initializer_list<Extension> extensions) {
    X509* out = X509_new();
    X509_set_version(out, 2);
    static int serial = 0;
    ASN1_INTEGER_set(X509_get_serialNumber(out), ++serial);
    X509_time_adj_ex(X509_getm_notBefore(out), 0, 0, &from);
    X509_time_adj_ex(X509_getm_notAfter(out), 0, 0, &until);
    for (const auto& [name, into] : {std::pair{&subject, X509_get_subject_name(out)}, std::pair{&issuer, X509_get_issuer_name(out)}})
      X509_NAME_add_entry_by_txt(into, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name->c_str()), -1, -1, 0);
    X509_set_pubkey(out, key);
    for (const Extension& extension : extensions) {
      if (extension.value == nullptr) continue;
      X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, nullptr, extension.nid, extension.value);
      need(made != nullptr, "no extension");
      X509_add_ext(out, made, -1);
      X509_EXTENSION_free(made);
    }
    need(X509_sign(out, signer, EVP_sha256()) > 0, "no certificate");
    return out;
  }

  static TS_TST_INFO* token_info(TS_REQ* asked, const Reply& reply) {
    TS_TST_INFO* info = TS_TST_INFO_new();
    TS_TST_INFO_set_version(info, reply.version);
    ASN1_OBJECT* policy = OBJ_txt2obj("1.2.3.4.1", 1);
    TS_TST_INFO_set_policy_id(info, policy);
    ASN1_OBJECT_free(policy);
    TS_MSG_IMPRINT* imprint = TS_MSG_IMPRINT_dup(TS_REQ_get_msg_imprint(asked));
    X509_ALGOR_set0(TS_MSG_IMPRINT_get_algo(imprint), OBJ_txt2obj(reply.hash, 0), V_ASN1_NULL, nullptr);
    TS_TST_INFO_set_msg_imprint(info, imprint);
    TS_MSG_IMPRINT_free(imprint);
    ASN1_INTEGER* number = ASN1_INTEGER_new();
    ASN1_INTEGER_set(number, 7);
    TS_TST_INFO_set_serial(info, number);
    ASN1_GENERALIZEDTIME* time = ASN1_GENERALIZEDTIME_new();
    ASN1_STRING_set(time, reply.time.data(), static_cast<int>(reply.time.size()));  // no check: a test may want a wrong one
    TS_TST_INFO_set_time(info, time);
    ASN1_GENERALIZEDTIME_free(time);
    if (reply.seconds != 0 || reply.millis != 0 || reply.micros != 0) {
      TS_ACCURACY* accuracy = TS_ACCURACY_new();
      ASN1_INTEGER_set(number, reply.seconds);
      if (reply.seconds != 0) TS_ACCURACY_set_seconds(accuracy, number);
      ASN1_INTEGER_set(number, reply.millis);
      if (reply.millis != 0) TS_ACCURACY_set_millis(accuracy, number);
      ASN1_INTEGER_set(number, reply.micros);
      if (reply.micros != 0) TS_ACCURACY_set_micros(accuracy, number);
      TS_TST_INFO_set_accuracy(info, accuracy);
      TS_ACCURACY_free(accuracy);
    }
    ASN1_INTEGER_free(number);
    if (reply.nonce && TS_REQ_get_nonce(asked) != nullptr) TS_TST_INFO_set_nonce(info, TS_REQ_get_nonce(asked));
    return info;
  }

  PKCS7* token(TS_TST_INFO* info, const Reply& reply) const {
    PKCS7* out = PKCS7_new();
    PKCS7_set_type(out, NID_pkcs7_signed);
    if (reply.certificates) PKCS7_add_certificate(out, own_);
    PKCS7_SIGNER_INFO* signer = PKCS7_add_signature(out, own_, key_, EVP_sha256());
    need(signer != nullptr, "no signer");
    PKCS7_add_signed_attribute(signer, NID_pkcs9_contentType, V_ASN1_OBJECT, OBJ_nid2obj(NID_id_smime_ct_TSTInfo));
    const std::unique_ptr<ESS_SIGNING_CERT_V2, void (*)(ESS_SIGNING_CERT_V2*)> named(OSSL_ESS_signing_cert_v2_new_init(EVP_sha256(), own_, nullptr, 1), ESS_SIGNING_CERT_V2_free);
    unsigned char* der = nullptr;
    const int length = i2d_ESS_SIGNING_CERT_V2(named.get(), &der);
    ASN1_STRING* sequence = ASN1_STRING_new();
    ASN1_STRING_set0(sequence, der, length);
    PKCS7_add_signed_attribute(signer, NID_id_smime_aa_signingCertificateV2, V_ASN1_SEQUENCE, sequence);
    PKCS7* content = PKCS7_new();
    content->type = OBJ_nid2obj(NID_id_smime_ct_TSTInfo);
    content->d.other = ASN1_TYPE_new();
    ASN1_TYPE_set(content->d.other, V_ASN1_OCTET_STRING, ASN1_OCTET_STRING_new());
    PKCS7_set_content(out, content);
    BIO* bio = PKCS7_dataInit(out, nullptr);
    need(bio != nullptr && i2d_TS_TST_INFO_bio(bio, info) == 1 && PKCS7_dataFinal(out, bio) == 1, "no token");
    BIO_free_all(bio);
    return out;
  }

  EVP_PKEY *root_key_ = nullptr, *key_ = nullptr;
  X509 *root_ = nullptr, *own_ = nullptr;
};

}  // namespace authority
