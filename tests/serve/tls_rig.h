// TlsFiles and RawTlsClient: what the tests of TLS share. Certificates and keys are made by certtool and
// psktool; the client uses GnuTLS directly, so that it can break the rules.
#pragma once

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gnutls/gnutls.h>

#include "server_rig.h"
#include "support/nbd_peer.h"

namespace ashlar {

// A temporary directory of certificates and keys. The folders `server` and `client` hold certificates of one
// authority, `other` one for a client by another authority, `wrong_use` one for servers in a client's place,
// and `bare` the certificate of the authority alone. `keys.psk` has the key of `alice`, and `psk/` has the
// same file for QEMU; `unknown.psk` has another user name, `wrong.psk` another key.
class TlsFiles {
 public:
  TlsFiles() {
    authority("ca", "Right");
    authority("ca2", "Wrong");
    issue("server", "ca", "tls_www_server\ndns_name = localhost\nip_address = 127.0.0.1\n", "server");
    issue("client", "ca", "tls_www_client\n", "client");
    issue("other", "ca2", "tls_www_client\n", "client");
    issue("wrong_use", "ca", "tls_www_server\n", "client");
    sh("mkdir D/bare D/psk && cp D/client/ca-cert.pem D/bare/");
    sh("psktool -u alice -p D/keys.psk -s 32 && chmod 600 D/keys.psk && cp D/keys.psk D/psk/keys.psk");
    sh("sed s/alice/mallory/ D/keys.psk > D/unknown.psk");
    sh("echo alice:00112233445566778899aabbccddeeff > D/wrong.psk");
  }
  std::string operator/(const std::string& name) const { return directory_ / name; }

  // Runs a shell command in which D/ stands for the directory; a failure fails the test.
  void sh(std::string line) const {
    for (std::size_t at = 0; (at = line.find("D/", at)) != std::string::npos; at += 2) {
      if (at == 0 || line[at - 1] == ' ' || line[at - 1] == '=') line.replace(at, 2, (directory_ / ""));
    }
    const Outcome done = run_command(line);
    EXPECT_EQ(done.status, 0) << line << "\n" << done.text;
  }

 private:
  void authority(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / (name + ".info"))
        << "cn = \"" << text << "\"\nca\ncert_signing_key\ncrl_signing_key\n";
    sh("certtool --generate-privkey --key-type ecdsa --outfile D/" + name + "-key.pem");
    sh("certtool --generate-self-signed --load-privkey D/" + name + "-key.pem --template D/" + name +
       ".info --outfile D/" + name + "-cert.pem");
  }
  void issue(const std::string& into, const std::string& by, const std::string& use,
             const std::string& name) const {
    std::ofstream(directory_ / (into + ".info")) << "cn = \"" << into << "\"\nsigning_key\n" << use;
    const std::string start = "D/" + into + "/" + name;
    sh("mkdir D/" + into);
    sh("certtool --generate-privkey --key-type ecdsa --outfile " + start + "-key.pem");
    sh("certtool --generate-certificate --load-privkey " + start + "-key.pem --load-ca-privkey D/" + by +
       "-key.pem --load-ca-certificate D/" + by + "-cert.pem --template D/" + into + ".info --outfile " +
       start + "-cert.pem");
    // A client with a certificate of the wrong authority still has to trust the right one.
    sh("cp D/ca-cert.pem D/" + into + "/ca-cert.pem");
  }

  const TemporaryDirectory directory_;
};

// A client that speaks NBD under TLS byte by byte, with the key of alice.
class RawTlsClient {
 public:
  RawTlsClient(UniqueFd fd, const std::string& psk_file, const char* versions) : fd_(std::move(fd)) {
    std::ifstream in(psk_file);
    std::string line;
    std::getline(in, line);
    std::string hex = line.substr(line.find(':') + 1);
    const gnutls_datum_t key{reinterpret_cast<unsigned char*>(hex.data()), static_cast<unsigned>(hex.size())};
    gnutls_psk_allocate_client_credentials(&credentials_);
    gnutls_psk_set_client_credentials(credentials_, "alice", &key, GNUTLS_PSK_KEY_HEX);
    gnutls_init(&session_, GNUTLS_CLIENT);
    const std::string priority = std::string("NORMAL:-VERS-ALL:+ECDHE-PSK:+DHE-PSK:") + versions;
    gnutls_priority_set_direct(session_, priority.c_str(), nullptr);
    gnutls_credentials_set(session_, GNUTLS_CRD_PSK, credentials_);
    gnutls_transport_set_int(session_, fd_.get());
  }
  RawTlsClient(const RawTlsClient&) = delete;
  RawTlsClient& operator=(const RawTlsClient&) = delete;
  ~RawTlsClient() {
    gnutls_deinit(session_);
    gnutls_psk_free_client_credentials(credentials_);
  }

  // Sends the client flags and STARTTLS and does the TLS handshake. Returns whether it succeeded.
  bool start_tls() {
    ByteVector start = nbd_client_flags();
    const ByteVector option = nbd_option(nbd::Option::kStartTls);
    start.insert(start.end(), option.begin(), option.end());
    ::send(fd_.get(), start.data(), start.size(), MSG_NOSIGNAL);
    std::array<std::byte, 18 + 20> answer{};
    std::size_t have = 0;
    for (ssize_t got = 1; got > 0 && have < answer.size();
         have += static_cast<std::size_t>(got > 0 ? got : 0))
      got = ::recv(fd_.get(), answer.data() + have, answer.size() - have, 0);
    return have == answer.size() && handshake();
  }
  bool handshake() {
    int code = GNUTLS_E_AGAIN;
    while (code < 0 && gnutls_error_is_fatal(code) == 0) code = gnutls_handshake(session_);
    return code == GNUTLS_E_SUCCESS;
  }
  void send(const ByteVector& bytes) {
    EXPECT_EQ(gnutls_record_send(session_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  // Returns `bytes` bytes, or as many as came before the end of the connection.
  ByteVector receive(std::size_t bytes) {
    ByteVector out(bytes);
    std::size_t have = 0;
    while (have < bytes) {
      last_ = gnutls_record_recv(session_, out.data() + have, bytes - have);
      if (last_ == 0 || (last_ < 0 && gnutls_error_is_fatal(static_cast<int>(last_)) != 0)) break;
      if (last_ > 0) have += static_cast<std::size_t>(last_);
    }
    out.resize(have);
    return out;
  }
  bool told_goodbye() const { return last_ == 0; }
  gnutls_session_t session() { return session_; }
  void vanish() { fd_.reset(); }

 private:
  UniqueFd fd_;
  gnutls_psk_client_credentials_t credentials_ = nullptr;
  gnutls_session_t session_ = nullptr;
  ssize_t last_ = -1;
};

}  // namespace ashlar
