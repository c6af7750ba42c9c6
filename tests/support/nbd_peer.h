// NbdPeer: a client of an NbdSession without sockets, byte by byte. It drives the session as a server's loop
// would, and decodes its replies.
#pragma once

#include <algorithm>
#include <array>
#include <thread>
#include <vector>

#include "base/check.h"
#include "serve/nbd_session.h"
#include "support/memory_export.h"

namespace ashlar {

// Encodes an option of the handshake. `claimed` is the length that its header states, when that is to differ
// from the length of `data`.
inline ByteVector nbd_option(std::uint32_t option, ByteSpan data, std::uint64_t claimed = UINT64_MAX) {
  ByteVector bytes;
  BigEndianAppender(bytes)
      .u64(nbd::kOptionMagic)
      .u32(option)
      .u32(static_cast<std::uint32_t>(claimed == UINT64_MAX ? data.size() : claimed))
      .bytes(data);
  return bytes;
}
inline ByteVector nbd_option(nbd::Option option, ByteSpan data = {}, std::uint64_t claimed = UINT64_MAX) {
  return nbd_option(static_cast<std::uint32_t>(option), data, claimed);
}

// Encodes the data of the options INFO and GO.
inline ByteVector nbd_info_data(std::string_view name, const std::vector<std::uint16_t>& infos = {}) {
  ByteVector data;
  BigEndianAppender out(data);
  out.u32(static_cast<std::uint32_t>(name.size())).text(name).u16(static_cast<std::uint16_t>(infos.size()));
  for (const std::uint16_t info : infos) out.u16(info);
  return data;
}

// Encodes the data of the options SET_META_CONTEXT and LIST_META_CONTEXT.
inline ByteVector nbd_meta_data(std::string_view name, const std::vector<std::string>& queries) {
  ByteVector data;
  BigEndianAppender out(data);
  out.u32(static_cast<std::uint32_t>(name.size())).text(name);
  out.u32(static_cast<std::uint32_t>(queries.size()));
  for (const std::string& query : queries) out.u32(static_cast<std::uint32_t>(query.size())).text(query);
  return data;
}

inline ByteVector nbd_client_flags(std::uint32_t flags = nbd::kFixedNewstyle | nbd::kNoZeroes) {
  ByteVector bytes;
  BigEndianAppender(bytes).u32(flags);
  return bytes;
}

inline ByteVector nbd_request(nbd::Command command, std::uint64_t cookie, std::uint64_t offset,
                              std::uint32_t length, std::uint16_t flags = 0) {
  const auto bytes = nbd::encode(nbd::Request{flags, command, cookie, offset, length});
  return {bytes.begin(), bytes.end()};
}

struct NbdOptionReply {
  std::uint32_t option = 0;
  std::uint32_t type = 0;
  ByteVector data;
};

// A simple reply, or one chunk of a structured reply.
struct NbdReplyPart {
  bool chunk = false;
  bool done = true;
  std::uint64_t cookie = 0;
  std::uint32_t error = 0;  // set in a simple reply or an error chunk
  std::uint16_t type = 0;   // set in a chunk
  ByteVector data;          // payload of a chunk, or of a simple reply to a read
};

class NbdPeer {
 public:
  explicit NbdPeer(ExportList& exports, NbdLimits limits = {}, bool tls_required = false,
                   std::function<bool()> is_cut_off = {})
      : limits_(limits),
        budget_(limits),
        shared_{limits_, counters_, buffers_, budget_, completions_, tls_required},
        session_(exports, shared_, nullptr, std::move(is_cut_off)) {
    completions_->adopt();
  }
  ~NbdPeer() {
    session_.drop_output();
    while (session_.in_flight() > 0) deliver();
  }

  // Hands the bytes to the session, `piece` at a time. Returns false when the session took only a part of
  // them.
  bool feed(ByteSpan bytes, std::size_t piece = SIZE_MAX) {
    while (!bytes.empty()) {
      settle();
      const MutableByteSpan space = session_.input_space();
      if (space.empty()) return false;
      const std::size_t taken = std::min({space.size(), bytes.size(), piece});
      std::memcpy(space.data(), bytes.data(), taken);
      session_.received(taken);
      bytes = bytes.subspan(taken);
    }
    settle();
    return true;
  }

  // Returns completed requests from the export to the session and takes its output, until neither has any
  // more.
  void settle() {
    while (deliver() || take_output()) {
    }
  }
  // Settles until the export holds no request.
  void finish() {
    for (settle(); session_.in_flight() > 0; settle()) std::this_thread::yield();
  }
  void stop_taking_output() { taking_ = false; }
  void take_output_again() {
    taking_ = true;
    settle();
  }

  NbdSession& session() { return session_; }
  NbdBudget& budget() { return budget_; }
  const NbdCounters& counters() const { return counters_; }
  ByteVector take_received() { return std::exchange(received_, {}); }
  std::size_t received_bytes() const { return received_.size(); }

  // Decodes all option replies received so far. Bytes that are not an option reply fail a CHECK: they are the
  // server's error.
  std::vector<NbdOptionReply> option_replies() {
    std::vector<NbdOptionReply> replies;
    BigEndianReader in(received_);
    while (!in.done() && in.ok()) {
      CHECK(in.u64() == nbd::kOptionReplyMagic);
      NbdOptionReply reply;
      reply.option = in.u32();
      reply.type = in.u32();
      const ByteSpan data = in.bytes(in.u32());
      reply.data.assign(data.begin(), data.end());
      replies.push_back(std::move(reply));
    }
    CHECK(in.ok());
    received_.clear();
    return replies;
  }

  // Decodes all replies received so far. `read_bytes(cookie)` returns how many bytes follow the simple reply
  // to that request when it has no error.
  template <class ReadBytes>
  std::vector<NbdReplyPart> replies(ReadBytes read_bytes) {
    std::vector<NbdReplyPart> parts;
    BigEndianReader in(received_);
    while (!in.done() && in.ok()) parts.push_back(part(in, read_bytes));
    CHECK(in.ok());
    received_.clear();
    return parts;
  }
  std::vector<NbdReplyPart> replies() {
    return replies([](std::uint64_t) { return std::size_t{0}; });
  }

  // Goes through the handshake (client flags, structured replies with both meta contexts, GO) into the
  // transmission phase, and drops what was received on the way.
  void enter(bool structured = true, std::string_view name = "") {
    feed(nbd_client_flags());
    if (shared_.tls_required) {
      feed(nbd_option(nbd::Option::kStartTls));
      CHECK(session_.wants_tls());
      session_.secured();
    }
    if (structured) {
      feed(nbd_option(nbd::Option::kStructuredReply));
      feed(nbd_option(nbd::Option::kSetMetaContext,
                      nbd_meta_data(name, {nbd::kAllocationContext, nbd::kDirtyContext})));
    }
    feed(nbd_option(nbd::Option::kGo, nbd_info_data(name)));
    CHECK(!session_.handshaking());
    received_.clear();
  }

 private:
  template <class ReadBytes>
  static NbdReplyPart part(BigEndianReader& in, ReadBytes read_bytes) {
    NbdReplyPart part;
    const std::uint32_t magic = in.u32();
    if (magic == nbd::kSimpleReplyMagic) {
      part.error = in.u32();
      part.cookie = in.u64();
      const ByteSpan data = in.bytes(part.error == 0 ? read_bytes(part.cookie) : 0);
      part.data.assign(data.begin(), data.end());
      return part;
    }
    CHECK(magic == nbd::kChunkMagic);
    part.chunk = true;
    const std::uint16_t flags = in.u16();
    CHECK((flags & ~std::uint32_t{nbd::kChunkDone}) == 0);
    part.done = (flags & nbd::kChunkDone) != 0;
    part.type = in.u16();
    part.cookie = in.u64();
    const ByteSpan data = in.bytes(in.u32());
    part.data.assign(data.begin(), data.end());
    if (part.type == static_cast<std::uint16_t>(nbd::Chunk::kError)) {
      CHECK(data.size() == 6);
      part.error = load_big_endian<std::uint32_t>(data);
      CHECK(part.error != 0 && part.done);
    }
    return part;
  }

  bool deliver() {
    std::vector<NbdRequest*> returned;
    completions_->take(returned);
    for (NbdRequest* request : returned) session_.complete(request);
    return !returned.empty();
  }

  bool take_output() {
    if (!taking_) return false;
    std::array<ByteSpan, 16> spans;
    const std::size_t count = session_.output(spans);
    if (count == 0) return false;
    // The output is reported as sent in two steps, so that a reply sent in part is tested too.
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < count; ++i) {
      received_.insert(received_.end(), spans[i].begin(), spans[i].end());
      bytes += spans[i].size();
    }
    const std::size_t first = bytes / 2;
    if (first > 0) session_.sent(first);
    session_.sent(bytes - first);
    return true;
  }

  const NbdLimits limits_;
  NbdCounters counters_;
  BufferPool buffers_;
  NbdBudget budget_;
  std::shared_ptr<NbdCompletions> completions_ = std::make_shared<NbdCompletions>([] {});
  NbdSession::Shared shared_;
  NbdSession session_;
  ByteVector received_;
  bool taking_ = true;
};

}  // namespace ashlar
