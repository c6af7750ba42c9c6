// NbdHandshake: the server's side of the fixed newstyle negotiation, as a state machine without I/O.
// Internal to the module.
//
// greeting ─▶ client flags ─▶ options… ─▶ transmission (GO, EXPORT_NAME) or close (ABORT, a breach)
//
// Where TLS is required every option but STARTTLS and ABORT is refused; after STARTTLS and its answer the
// rest goes through TLS, from secured() on.
//
// An option of an unknown kind is skipped and refused; an option longer than 64 KiB, a wrong magic, or a
// client over the limits ends the connection. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "serve/export.h"
#include "serve/nbd_limits.h"
#include "serve/nbd_protocol.h"

namespace ashlar {

// The results of the handshake that the transmission phase needs.
struct NbdNegotiated {
  std::shared_ptr<Export> exported;
  bool structured = false;
  bool allocation = false;  // base:allocation was chosen
  bool dirty = false;       // ashlar:dirty was chosen
};

class NbdHandshake {
 public:
  enum class Outcome { kMore, kStartTls, kTransmission, kClose };
  enum class Tls { kOff, kRequired, kOn };

  NbdHandshake(ExportList& exports, const NbdLimits& limits, Tls tls = Tls::kOff);

  // Takes at most one message off the front of `in` and returns its size; 0 when it is not complete yet, or
  // when the outcome is decided. `in` has to be able to grow to kOptionHeadBytes + kMaxOptionBytes.
  std::size_t consume(ByteSpan in);
  Outcome outcome() const { return outcome_; }
  // Continues the negotiation after kStartTls: the connection is secure.
  void secured();

  // Returns the bytes for the client that were made since the last call.
  ByteVector take_output() { return std::exchange(out_, {}); }
  // Returns the results, after kTransmission.
  NbdNegotiated take_negotiated() { return std::move(negotiated_); }

 private:
  std::size_t take_client_flags(ByteSpan in);
  std::size_t take_option(ByteSpan in);
  void answer(nbd::Option option, ByteSpan data);
  void export_name(ByteSpan data);
  void list(ByteSpan data);
  void start_tls(ByteSpan data);
  void refuse_without_tls(nbd::Option option);
  void structured_reply(ByteSpan data);
  void info(nbd::Option option, ByteSpan data);
  void meta_context(nbd::Option option, ByteSpan data);
  void meta_queries(nbd::Option option, BigEndianReader queries, std::uint32_t count);
  void choose(const std::string& name, std::shared_ptr<Export> chosen);

  std::size_t close();
  void reply(nbd::Option option, nbd::OptionReply type, ByteSpan data = {});
  void send_info(nbd::Option option, const Export& exported, const std::string& name, bool with_name);
  std::uint16_t transmission_flags(const Export& exported) const;

  ExportList& exports_;
  const NbdLimits& limits_;
  Tls tls_;
  Outcome outcome_ = Outcome::kMore;
  ByteVector out_;
  NbdNegotiated negotiated_;
  std::string meta_export_;  // the export for which contexts were chosen
  std::optional<std::uint32_t> client_flags_;
  std::size_t bytes_ = 0;
  std::size_t options_ = 0;
};

}  // namespace ashlar
