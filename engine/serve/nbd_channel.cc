#include "serve/nbd_channel.h"

#include <algorithm>
#include <array>

namespace ashlar {
namespace {

constexpr std::size_t kSpansOfRecord = 16;

}  // namespace

MutableByteSpan NbdChannel::input_space() {
  if (!tls_) return session_.input_space();
  if (session_.input_ended()) return {};
  if (tls_->ready() && session_.input_space().empty()) return {};
  return tls_->record_space();
}

void NbdChannel::received(std::size_t bytes) {
  if (!tls_) return session_.received(bytes);
  tls_->records_received(bytes);
  if (!session_.handshaking()) return;
  handshake_bytes_ += bytes;
  if (handshake_bytes_ > shared_.limits.handshake_bytes) session_.drop_output();
}

void NbdChannel::hang_up() {
  if (!tls_) return session_.end_input();
  tls_->records_ended();
}

void NbdChannel::advance() {
  if (!tls_ && session_.wants_tls()) start_tls();
  if (!tls_ || dropped_) return;
  if (!tls_->ready() && !session_.input_ended()) {
    tls_->handshake();
    if (tls_->ready()) session_.secured();
  }
  decrypt();
  if (tls_->failed()) fail();
  encrypt();
  if (session_.finished()) tls_->close();
  look_at_records();
}

void NbdChannel::fail() {
  if (!failed_) NbdCounters::add(shared_.counters.tls_failures);
  failed_ = true;
  session_.drop_output();
}

void NbdChannel::start_tls() {
  Result<std::unique_ptr<TlsStream>> made = TlsStream::make(credentials_);
  if (!made.ok()) return fail();
  tls_ = made.take();
}

void NbdChannel::decrypt() {
  while (tls_->ready()) {
    const MutableByteSpan space = session_.input_space();
    if (space.empty()) return;
    const std::size_t got = tls_->read(space);
    if (got > 0) session_.received(got);
    if (tls_->closed()) session_.end_input();
    if (got == 0) return;
  }
}

void NbdChannel::encrypt() {
  while (tls_->wants_plain()) {
    ByteSpan plain;
    if (gather(plain) == 0) return;
    const std::size_t taken = tls_->write(plain);
    if (taken == 0) return fail();
    session_.sent(taken);
  }
}

// Gathers the plain bytes of the next record and returns their count: one long piece where it lies, or short
// pieces copied together.
std::size_t NbdChannel::gather(ByteSpan& plain) {
  std::array<ByteSpan, kSpansOfRecord> spans;
  const std::size_t count = session_.output(spans);
  if (count == 0) return 0;
  plain = spans[0];
  if (count == 1 || plain.size() >= TlsStream::kRecordBytes) return plain.size();
  gathered_.clear();
  for (std::size_t i = 0; i < count && gathered_.size() < TlsStream::kRecordBytes; ++i) {
    const std::size_t taken = std::min(spans[i].size(), TlsStream::kRecordBytes - gathered_.size());
    gathered_.insert(gathered_.end(), spans[i].begin(),
                     spans[i].begin() + static_cast<std::ptrdiff_t>(taken));
  }
  plain = gathered_;
  return plain.size();
}

void NbdChannel::look_at_records() { records_waiting_ = dropped_ ? 0 : tls_->records().size(); }

std::size_t NbdChannel::output(std::span<ByteSpan> out) {
  if (!tls_) return session_.output(out);
  look_at_records();
  if (records_waiting_ == 0 || out.empty()) return 0;
  out[0] = tls_->records();
  return 1;
}

void NbdChannel::sent(std::size_t bytes) {
  if (!tls_) return session_.sent(bytes);
  if (dropped_) return;
  tls_->records_sent(bytes);
  look_at_records();
}

void NbdChannel::drop_output() {
  dropped_ = true;
  records_waiting_ = 0;
  session_.drop_output();
}

}  // namespace ashlar
