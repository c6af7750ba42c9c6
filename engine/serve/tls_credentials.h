// TlsCredentials: the server's proof of identity and what it demands of its clients, read from files once.
// Internal to the module.
//
// Either certificates, in the files that QEMU and libnbd use too, or pre-shared keys in a file of psktool's.
// TLS 1.3 and 1.2, and only key exchanges with forward secrecy. Immutable; any thread, any number of
// sessions.
#pragma once

#include <gnutls/gnutls.h>

#include <map>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace ashlar {

class TlsCredentials {
 public:
  // Reads server-cert.pem and server-key.pem of the directory. With ca-cert.pem each client has to show a
  // certificate that this CA signed and that ca-crl.pem, when there, does not revoke; without it any client
  // is accepted.
  static Result<std::shared_ptr<const TlsCredentials>> from_certificates(const std::string& directory);
  // Reads lines of NAME:KEY, the key in hex.
  static Result<std::shared_ptr<const TlsCredentials>> from_psk_file(const std::string& path);
  ~TlsCredentials();
  TlsCredentials(const TlsCredentials&) = delete;
  TlsCredentials& operator=(const TlsCredentials&) = delete;

  // Sets up a server's session, which the credentials outlive. Returns an error code of GnuTLS, negative when
  // it failed.
  int apply(gnutls_session_t session) const;

 private:
  TlsCredentials() = default;
  Status set_priority(const char* text);
  Status load_certificates(const std::string& directory);
  Status load_psk(const std::string& path);
  Status add_psk_line(std::string_view line);
  static int find_psk(gnutls_session_t session, const char* user, gnutls_datum_t* key);

  gnutls_priority_t priority_ = nullptr;
  gnutls_certificate_credentials_t certificates_ = nullptr;
  bool verify_clients_ = false;
  gnutls_psk_server_credentials_t psk_ = nullptr;
  std::map<std::string, ByteVector, std::less<>> psk_keys_;
};

}  // namespace ashlar
