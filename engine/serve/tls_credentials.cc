#include "serve/tls_credentials.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gnutls/x509.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/interrupted.h"
#include "base/unique_fd.h"
#include "io/descriptor.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20U;
constexpr std::size_t kMinKeyBytes = 16;
constexpr std::size_t kMaxKeyBytes = 512;

// No RSA key exchange and no plain PSK: a key that leaks later must not decrypt recorded sessions.
constexpr const char* kCertificatePriority = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA";
constexpr const char* kPskPriority = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK:+DHE-PSK";

Status checked(int code, const std::string& what) {
  if (code >= 0) return {};
  return invalid(what + ": " + gnutls_strerror(code));
}

enum class Secrecy { kPublic, kSecret };

Result<std::string> read_text(const std::string& path, Secrecy secrecy) {
  const UniqueFd fd(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (!fd.valid()) return last_errno(path);
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return last_errno(path);
  if (!S_ISREG(about.st_mode)) return invalid(path + ": not a file");
  if (secrecy == Secrecy::kSecret && (about.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
    return invalid(
        fmt::format("{}: has mode {:04o}, so that other users can read the key: run 'chmod 600' on it", path,
                    about.st_mode & 07777U));
  }
  return read_all(fd.get(), kMaxFileBytes, path);
}

gnutls_datum_t datum(std::string& text) {
  return {reinterpret_cast<unsigned char*>(text.data()), static_cast<unsigned>(text.size())};
}

// Returns the purpose that a client's certificate must have. It is static because sessions keep the pointer.
gnutls_typed_vdata_st* client_purpose() {
  static std::string name = GNUTLS_KP_TLS_WWW_CLIENT;
  static gnutls_typed_vdata_st purpose{GNUTLS_DT_KEY_PURPOSE_OID,
                                       reinterpret_cast<unsigned char*>(name.data()), 0};
  return &purpose;
}

bool exists(const std::string& path) {
  struct stat about {};
  return ::stat(path.c_str(), &about) == 0 || errno != ENOENT;
}

}  // namespace

Result<std::shared_ptr<const TlsCredentials>> TlsCredentials::from_certificates(
    const std::string& directory) {
  std::shared_ptr<TlsCredentials> made(new TlsCredentials);
  TRY(made->set_priority(kCertificatePriority));
  TRY(made->load_certificates(directory));
  return std::shared_ptr<const TlsCredentials>(made);
}

Result<std::shared_ptr<const TlsCredentials>> TlsCredentials::from_psk_file(const std::string& path) {
  std::shared_ptr<TlsCredentials> made(new TlsCredentials);
  TRY(made->set_priority(kPskPriority));
  TRY(made->load_psk(path));
  return std::shared_ptr<const TlsCredentials>(made);
}

TlsCredentials::~TlsCredentials() {
  if (certificates_ != nullptr) gnutls_certificate_free_credentials(certificates_);
  if (psk_ != nullptr) gnutls_psk_free_server_credentials(psk_);
  if (priority_ != nullptr) gnutls_priority_deinit(priority_);
  for (auto& [name, key] : psk_keys_) gnutls_memset(key.data(), 0, key.size());
}

Status TlsCredentials::set_priority(const char* text) {
  return checked(gnutls_priority_init(&priority_, text, nullptr), "TLS priorities");
}

Status TlsCredentials::load_certificates(const std::string& directory) {
  TRY(checked(gnutls_certificate_allocate_credentials(&certificates_), "TLS"));
  const std::string certificate_path = directory + "/server-cert.pem";
  const std::string key_path = directory + "/server-key.pem";
  const std::string ca_path = directory + "/ca-cert.pem";
  const std::string revoked_path = directory + "/ca-crl.pem";
  std::string certificate = TRY(read_text(certificate_path, Secrecy::kPublic));
  std::string key = TRY(read_text(key_path, Secrecy::kSecret));
  const gnutls_datum_t certificate_pem = datum(certificate);
  const gnutls_datum_t key_pem = datum(key);
  const int paired =
      gnutls_certificate_set_x509_key_mem(certificates_, &certificate_pem, &key_pem, GNUTLS_X509_FMT_PEM);
  gnutls_memset(key.data(), 0, key.size());
  TRY(checked(paired, certificate_path + " with " + key_path));
  if (!exists(ca_path)) {
    if (exists(revoked_path)) return invalid(revoked_path + ": has no effect without " + ca_path);
    return {};
  }
  std::string ca = TRY(read_text(ca_path, Secrecy::kPublic));
  const gnutls_datum_t ca_pem = datum(ca);
  const int trusted = gnutls_certificate_set_x509_trust_mem(certificates_, &ca_pem, GNUTLS_X509_FMT_PEM);
  TRY(checked(trusted, ca_path));
  if (trusted == 0) return invalid(ca_path + ": holds no certificate");
  verify_clients_ = true;
  if (!exists(revoked_path)) return {};
  std::string revoked = TRY(read_text(revoked_path, Secrecy::kPublic));
  const gnutls_datum_t revoked_pem = datum(revoked);
  return checked(gnutls_certificate_set_x509_crl_mem(certificates_, &revoked_pem, GNUTLS_X509_FMT_PEM),
                 revoked_path);
}

Status TlsCredentials::load_psk(const std::string& path) {
  TRY(checked(gnutls_psk_allocate_server_credentials(&psk_), "TLS"));
  gnutls_psk_set_server_credentials_function(psk_, find_psk);
  std::string text = TRY(read_text(path, Secrecy::kSecret));
  std::string_view rest = text;
  for (int number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    TRY(add_psk_line(rest.substr(0, end)).with_context(fmt::format("{}: line {}", path, number)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  gnutls_memset(text.data(), 0, text.size());
  if (psk_keys_.empty()) return invalid(path + ": holds no key");
  return {};
}

Status TlsCredentials::add_psk_line(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (line.empty()) return {};
  const std::size_t colon = line.find(':');
  // psktool writes a name that is not text as # and hex.
  if (colon == std::string_view::npos || colon == 0 || line.front() == '#') {
    return invalid("is not of the form NAME:HEXKEY");
  }
  std::string hex(line.substr(colon + 1));
  ByteVector key(hex.size() / 2);
  std::size_t key_bytes = key.size();
  const gnutls_datum_t hex_datum = datum(hex);
  const int decoded = gnutls_hex_decode(&hex_datum, key.data(), &key_bytes);
  gnutls_memset(hex.data(), 0, hex.size());
  if (decoded < 0 || key_bytes * 2 != hex.size()) return invalid("the key is not hexadecimal");
  if (key_bytes < kMinKeyBytes || key_bytes > kMaxKeyBytes) {
    return invalid(fmt::format("the key has {} bytes, not {} to {}", key_bytes, kMinKeyBytes, kMaxKeyBytes));
  }
  const bool fresh = psk_keys_.emplace(line.substr(0, colon), std::move(key)).second;
  if (!fresh) return invalid("names a client that an earlier line names");
  return {};
}

// Gives GnuTLS the key of a client. The result 1 makes GnuTLS continue with a random key, so that the client
// can't tell an unknown name from a wrong key.
int TlsCredentials::find_psk(gnutls_session_t session, const char* user, gnutls_datum_t* key) {
  const auto& keys = static_cast<const TlsCredentials*>(gnutls_session_get_ptr(session))->psk_keys_;
  const auto found = keys.find(std::string_view(user));
  if (found == keys.end()) return 1;
  const ByteVector& bytes = found->second;
  key->data = static_cast<unsigned char*>(gnutls_malloc(bytes.size()));
  if (key->data == nullptr) return -1;
  std::memcpy(key->data, bytes.data(), bytes.size());
  key->size = static_cast<unsigned>(bytes.size());
  return 0;
}

int TlsCredentials::apply(gnutls_session_t session) const {
  gnutls_session_set_ptr(session, const_cast<TlsCredentials*>(this));
  if (const int set = gnutls_priority_set(session, priority_); set < 0) return set;
  if (psk_ != nullptr) return gnutls_credentials_set(session, GNUTLS_CRD_PSK, psk_);
  if (verify_clients_) {
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_verify_cert2(session, client_purpose(), 1, 0);
  }
  return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, certificates_);
}

}  // namespace ashlar
