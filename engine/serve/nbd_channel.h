// NbdChannel: an NbdSession and the layer between it and the socket: none, or TLS from the moment the client
// asked for it. Without I/O. Its driver works like that of a session, see nbd_session.h, and calls advance()
// before it looks for bytes to send or space to receive. Internal to the module.
//
// Under TLS the server ends with a closing alert. A client that leaves without one, or breaks TLS, is lost:
// its requests are waited for and not answered. One thread.
#pragma once

#include "serve/nbd_session.h"
#include "serve/tls_stream.h"

namespace ashlar {

class NbdChannel {
 public:
  // Makes the channel of a new connection. `tls` is needed when shared.tls_required is set.
  NbdChannel(ExportList& exports, NbdSession::Shared& shared, std::shared_ptr<const TlsCredentials> tls,
             void* driver, std::function<bool()> is_cut_off = {})
      : shared_(shared),
        credentials_(std::move(tls)),
        session_(exports, shared, driver, std::move(is_cut_off)) {}

  NbdSession& session() { return session_; }
  const NbdSession& session() const { return session_; }

  MutableByteSpan input_space();
  void received(std::size_t bytes);
  // Notes that the client has closed its side.
  void hang_up();
  // Ends the input: the server takes no more requests.
  void end_input() { session_.end_input(); }

  void advance();

  std::size_t output(std::span<ByteSpan> out);
  void sent(std::size_t bytes);
  void drop_output();

  bool finished() const { return session_.finished() && records_waiting_ == 0; }

 private:
  void start_tls();
  void fail();
  void decrypt();
  void encrypt();
  std::size_t gather(ByteSpan& plain);
  void look_at_records();

  NbdSession::Shared& shared_;
  const std::shared_ptr<const TlsCredentials> credentials_;
  NbdSession session_;
  std::unique_ptr<TlsStream> tls_;
  ByteVector gathered_;  // short replies on their way into one record
  std::size_t handshake_bytes_ = 0;
  std::size_t records_waiting_ = 0;  // bytes of TLS records that the client has not taken
  bool dropped_ = false;
  bool failed_ = false;
};

}  // namespace ashlar
