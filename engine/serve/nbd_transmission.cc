#include "serve/nbd_transmission.h"

#include <algorithm>
#include <cstring>

namespace ashlar {

using nbd::Command;
using nbd::Errno;

namespace {

// A payload that still lacks at least this much is received in place.
constexpr std::size_t kInPlaceBytes = std::size_t{16} << 10U;
constexpr std::size_t kMostExtents = 2048;
constexpr std::size_t kMostExtentsOfOne = 16;
constexpr std::size_t kSmallestCharge = 512;
// Memory of a block status: the extents, and two contexts of them, each with a head and 8 bytes an extent.
constexpr std::size_t kStatusCharge =
    sizeof(ExportExtent) * kMostExtents + 2 * (nbd::kChunkHeadBytes + 4 + 8 * kMostExtents);

Errno errno_of(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kExhausted:
      return Errno::kNoSpace;
    case ErrorCode::kInvalid:
      return Errno::kInvalid;
    case ErrorCode::kUnsupported:
      return Errno::kNotSupported;
    case ErrorCode::kBusy:
      return Errno::kShutdown;
    default:
      return Errno::kIo;
  }
}

bool changes(Command command) {
  return command == Command::kWrite || command == Command::kTrim || command == Command::kWriteZeroes;
}

bool has_range(Command command) { return command != Command::kFlush && command <= Command::kBlockStatus; }

}  // namespace

NbdTransmission::NbdTransmission(NbdNegotiated negotiated, Shared& shared, void* driver,
                                 std::function<bool()> is_cut_off)
    : negotiated_(std::move(negotiated)),
      shared_(shared),
      driver_(driver),
      export_(*negotiated_.exported),
      is_cut_off_(std::move(is_cut_off)),
      number_(export_.changes().begin_connection()),
      barred_by_(export_.changes().last()) {}

NbdTransmission::~NbdTransmission() {
  CHECK(in_flight_ == 0);
  drop_output();
  drop_payload();
}

void NbdTransmission::drop_payload() {
  if (payload_) release(std::move(payload_));
}

bool NbdTransmission::wants_input() const {
  if (held_back_ != nullptr || is_barred()) return false;
  if (ended_ || payload_ || skip_bytes_ > 0) return !ended_;
  return outstanding_bytes_ < shared_.limits.outstanding_bytes &&
         requests_ < shared_.limits.outstanding_requests;
}

std::size_t NbdTransmission::consume(ByteSpan in) {
  std::size_t used = 0;
  while (!ended_) {
    if (payload_ || skip_bytes_ > 0) {
      used += take_payload(in.subspan(used));
      if (payload_ || skip_bytes_ > 0) break;
    }
    if (!wants_input() || in.size() - used < nbd::kRequestBytes) break;
    const std::optional<nbd::Request> wire = nbd::decode_request(in.subspan(used, nbd::kRequestBytes));
    if (!wire) {
      ended_ = true;
      break;
    }
    used += nbd::kRequestBytes;
    start(*wire);
  }
  return used;
}

std::size_t NbdTransmission::take_payload(ByteSpan in) {
  if (skip_bytes_ > 0) {
    const std::size_t skipped = std::min(skip_bytes_, in.size());
    skip_bytes_ -= skipped;
    return skipped;
  }
  const std::size_t taken = std::min<std::size_t>(payload_->wire.length - payload_bytes_, in.size());
  if (taken == 0) return 0;
  std::memcpy(payload_->buffer.data() + payload_bytes_, in.data(), taken);
  payload_received(taken);
  return taken;
}

MutableByteSpan NbdTransmission::payload_space() const {
  if (!payload_ || ended_) return {};
  const std::size_t missing = payload_->wire.length - payload_bytes_;
  if (missing < kInPlaceBytes) return {};
  return payload_->buffer.span().subspan(payload_bytes_, missing);
}

void NbdTransmission::payload_received(std::size_t bytes) {
  payload_bytes_ += bytes;
  if (payload_bytes_ == payload_->wire.length) submit(std::move(payload_));
}

void NbdTransmission::start(const nbd::Request& wire) {
  if (wire.command == Command::kDisconnect) {
    ended_ = true;
    return;
  }
  count(wire);
  // A client may not make the server receive so much data only to refuse it.
  if (wire.command == Command::kWrite && wire.length > nbd::kMaxPayloadBytes) {
    ended_ = true;
    return;
  }
  auto request = std::make_unique<NbdRequest>();
  request->owner = this;
  request->wire = wire;
  request->error = check(wire);
  if (admit(*request)) return go_on(std::move(request));
  NbdCounters::add(shared_.counters.requests_delayed);
  ++in_flight_;
  held_back_ = request.release();
}

std::size_t NbdTransmission::buffer_bytes(const NbdRequest& request) {
  const bool carries = request.wire.command == Command::kRead || request.wire.command == Command::kWrite;
  return carries && request.error == Errno::kNone ? request.wire.length : 0;
}

std::size_t NbdTransmission::cost(const NbdRequest& request) {
  const std::size_t bytes = buffer_bytes(request);
  if (bytes > 0) return BufferPool::size_of(bytes);
  return request.wire.command == Command::kBlockStatus ? kStatusCharge : kSmallestCharge;
}

// Takes memory for a request and returns true; returns false when the request has to wait for it.
bool NbdTransmission::admit(NbdRequest& request) {
  request.charge = cost(request);
  request.of_common = share_used_ + request.charge > shared_.budget.share();
  if (!request.of_common) share_used_ += request.charge;
  return !request.of_common || shared_.budget.take(&request, request.charge, shared_.completions);
}

void NbdTransmission::go_on(Owned request) {
  ++requests_;
  outstanding_bytes_ += request->charge;
  const std::size_t bytes = buffer_bytes(*request);
  if (bytes > 0) request->buffer = shared_.buffers.take(bytes);
  if (request->wire.command == Command::kWrite) return start_write(std::move(request));
  if (request->error != Errno::kNone) return reply(std::move(request));
  submit(std::move(request));
}

void NbdTransmission::start_write(Owned request) {
  if (request->error != Errno::kNone) {
    skip_bytes_ = request->wire.length;
    return reply(std::move(request));
  }
  if (request->wire.length == 0) return submit(std::move(request));
  payload_ = std::move(request);
  payload_bytes_ = 0;
}

Errno NbdTransmission::check(const nbd::Request& wire) const {
  std::uint32_t allowed = nbd::kFua;
  switch (wire.command) {
    case Command::kRead:
      if (negotiated_.structured) allowed |= nbd::kDontFragment;
      break;
    case Command::kWriteZeroes:
      allowed |= nbd::kNoHole | nbd::kFastZero;
      break;
    case Command::kBlockStatus:
      if (!negotiated_.allocation && !negotiated_.dirty) return Errno::kInvalid;
      allowed |= nbd::kRequestOne;
      break;
    default:
      if (wire.command > Command::kBlockStatus) return Errno::kInvalid;
  }
  if ((wire.flags & ~allowed) != 0) return Errno::kInvalid;
  if (changes(wire.command) && export_.read_only()) return Errno::kPermission;
  return has_range(wire.command) ? check_range(wire) : Errno::kNone;
}

Errno NbdTransmission::check_range(const nbd::Request& wire) const {
  const bool carries = wire.command == Command::kRead || wire.command == Command::kCache;
  if (carries && wire.length > nbd::kMaxPayloadBytes) return Errno::kInvalid;
  const std::uint64_t size = export_.size().value;
  if (wire.offset > size || wire.length > size - wire.offset) {
    return changes(wire.command) ? Errno::kNoSpace : Errno::kInvalid;
  }
  if (wire.command == Command::kBlockStatus && wire.length == 0) return Errno::kInvalid;
  if ((wire.flags & nbd::kFastZero) != 0 && !fast_zero(wire)) return Errno::kNotSupported;
  return Errno::kNone;
}

// Returns whether a range can be zeroed fast: whole blocks are marked as zeros, parts of a block have to be
// written.
bool NbdTransmission::fast_zero(const nbd::Request& wire) const {
  const bool to_the_end = wire.offset + wire.length == export_.size().value;
  return wire.offset % kBlockBytes == 0 && (wire.length % kBlockBytes == 0 || to_the_end);
}

// Returns whether the client has connected again: it repeats on another connection the requests that were not
// answered on this one.
bool NbdTransmission::comes_too_late() const {
  return is_cut_off_ && export_.changes().has_newer_connection(number_) && is_cut_off_();
}

void NbdTransmission::submit(Owned owned) {
  const bool is_change = changes(owned->wire.command);
  if (is_change) {
    // The ticket is taken before the question: a connection that begins in between waits for this change, and
    // one that began before is seen.
    owned->change = export_.changes().begin();
    if (comes_too_late()) {
      export_.changes().end(std::exchange(owned->change, 0));
      owned->error = Errno::kShutdown;
      return reply(std::move(owned));
    }
  }
  NbdRequest* request = owned.release();
  ++in_flight_;
  request->flush_next = (request->wire.flags & nbd::kFua) != 0 && is_change;
  if (request->wire.command == Command::kFlush) {
    export_.flush([request](Status status) { request->owner->finish(request, std::move(status)); });
  } else if (request->wire.length == 0) {
    finish(request, {});
  } else {
    submit_range(request);
  }
}

void NbdTransmission::submit_range(NbdRequest* request) {
  const nbd::Request& wire = request->wire;
  const ByteOffset offset{wire.offset};
  const ByteCount bytes{wire.length};
  // The capture is one pointer, which std::function keeps without an allocation.
  const auto done = [request](Status status) { request->owner->finish(request, std::move(status)); };
  switch (wire.command) {
    case Command::kRead:
      return export_.read(offset, request->buffer.span().first(wire.length), done);
    case Command::kWrite:
      return export_.write(offset, request->buffer.span().first(wire.length), done);
    case Command::kTrim:
      return export_.trim(offset, bytes, done);
    case Command::kWriteZeroes:
      return export_.write_zeroes(offset, bytes, (wire.flags & nbd::kNoHole) == 0, done);
    case Command::kCache:
      return export_.prefetch(offset, bytes, done);
    case Command::kBlockStatus:
      return export_.extents(offset, bytes,
                             (wire.flags & nbd::kRequestOne) != 0 ? kMostExtentsOfOne : kMostExtents,
                             request->extents, done);
    default:
      CHECK(false);
  }
}

// Ends the work of the export on a request, on any thread. Once the request is posted, it and this object may
// be gone.
void NbdTransmission::finish(NbdRequest* request, Status status) {
  if (request->change != 0) export_.changes().end(std::exchange(request->change, 0));
  const bool matters = request->wire.command != Command::kCache;
  if (!status.ok() && matters) request->error = errno_of(status.error());
  const std::shared_ptr<NbdCompletions> completions = shared_.completions;
  completions->post(request);
}

void NbdTransmission::complete(NbdRequest* request) {
  if (request == held_back_) {
    held_back_ = nullptr;
    --in_flight_;
    Owned admitted(request);
    if (!client_gone_) return go_on(std::move(admitted));
    return shared_.budget.give_back(admitted->charge);
  }
  if (request->flush_next && request->error == Errno::kNone) {
    request->flush_next = false;
    export_.flush([request](Status status) { request->owner->finish(request, std::move(status)); });
    return;
  }
  --in_flight_;
  if (request->wire.command == Command::kBlockStatus && request->error == Errno::kNone)
    write_status(*request, negotiated_.allocation, negotiated_.dirty);
  reply(Owned(request));
}

void NbdTransmission::reply(Owned request) {
  if (client_gone_) return release(std::move(request));
  if (request->error != Errno::kNone) {
    NbdCounters::add(shared_.counters.errors);
  } else if (request->wire.command == Command::kRead) {
    NbdCounters::add(shared_.counters.bytes_read, request->wire.length);
  } else if (request->wire.command == Command::kWrite) {
    NbdCounters::add(shared_.counters.bytes_written, request->wire.length);
  }
  write_reply(*request, negotiated_.structured);
  replies_.push_back(std::move(request));
}

std::size_t NbdTransmission::output(std::span<ByteSpan> out) const {
  std::size_t used = 0;
  std::size_t skip = front_sent_;
  const auto add = [&](ByteSpan bytes) {
    const std::size_t skipped = std::min(skip, bytes.size());
    skip -= skipped;
    if (skipped < bytes.size() && used < out.size()) out[used++] = bytes.subspan(skipped);
  };
  for (const Owned& request : replies_) {
    if (used == out.size()) break;
    add(ByteSpan(request->head).first(request->head_bytes));
    add(request->body);
  }
  return used;
}

void NbdTransmission::sent(std::size_t bytes) {
  front_sent_ += bytes;
  while (!replies_.empty()) {
    const std::size_t size = replies_.front()->head_bytes + replies_.front()->body.size();
    if (front_sent_ < size) return;
    front_sent_ -= size;
    release(std::move(replies_.front()));
    replies_.pop_front();
  }
  CHECK(front_sent_ == 0);
}

void NbdTransmission::drop_output() {
  client_gone_ = true;
  ended_ = true;
  front_sent_ = 0;
  for (Owned& request : replies_) release(std::move(request));
  replies_.clear();
  if (held_back_ == nullptr || !shared_.budget.cancel(held_back_)) return;
  --in_flight_;
  const Owned forgotten(std::exchange(held_back_, nullptr));
}

bool NbdTransmission::holds_common() const {
  const auto of_common = [](const Owned& request) { return request->of_common; };
  return (payload_ && payload_->of_common) || std::any_of(replies_.begin(), replies_.end(), of_common);
}

void NbdTransmission::count(const nbd::Request& wire) {
  NbdCounters& counters = shared_.counters;
  switch (wire.command) {
    case Command::kRead:
      return NbdCounters::add(counters.reads);
    case Command::kWrite:
      return NbdCounters::add(counters.writes);
    case Command::kFlush:
      return NbdCounters::add(counters.flushes);
    case Command::kTrim:
    case Command::kWriteZeroes:
      return NbdCounters::add(counters.trims);
    default:
      return NbdCounters::add(counters.other_requests);
  }
}

void NbdTransmission::release(Owned request) {
  --requests_;
  outstanding_bytes_ -= request->charge;
  if (!request->of_common) share_used_ -= request->charge;
  if (!request->buffer.empty()) shared_.buffers.give_back(std::move(request->buffer));
  if (request->of_common) shared_.budget.give_back(request->charge);
}

}  // namespace ashlar
