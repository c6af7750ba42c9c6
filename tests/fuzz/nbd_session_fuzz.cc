// Fuzz target: a whole NBD connection. The input is a program of what the client sends, what the export
// completes, and when the client takes its replies. In every run each request is answered once, in
// well-formed replies, the session's memory stays within its limits, and in the end it holds nothing.
//
// The first byte chooses the scene; each step is one byte and its operands, see step().
#include <map>
#include <optional>

#include "format/cursor.h"
#include "fuzz/target.h"
#include "support/nbd_peer.h"

namespace {

using namespace ashlar;

constexpr std::uint64_t kDiskBytes = 256U << 10U;

// An export that can be slow: it then keeps its operations until complete() does them one by one.
class LaterExport : public Export {
 public:
  explicit LaterExport(bool is_read_only) : disk_(kDiskBytes, is_read_only) {
    disk_.fail(64U << 10U, 4096, ErrorCode::kIo);
  }
  void complete(std::size_t which) {
    if (waiting_.empty()) return;
    const auto at = waiting_.begin() + static_cast<std::ptrdiff_t>(which % waiting_.size());
    const std::function<void()> work = std::move(*at);
    waiting_.erase(at);
    work();
  }
  bool waits() const { return !waiting_.empty(); }
  void be_slow(bool slow) { slow_ = slow; }

  ByteCount size() const override { return disk_.size(); }
  bool read_only() const override { return disk_.read_only(); }
  void read(ByteOffset offset, MutableByteSpan out, Done done) override {
    later([=, this] { disk_.read(offset, out, done); });
  }
  void write(ByteOffset offset, ByteSpan bytes, Done done) override {
    CHECK(!read_only());
    later([=, this] { disk_.write(offset, bytes, done); });
  }
  void write_zeroes(ByteOffset offset, ByteCount bytes, bool may_unmap, Done done) override {
    CHECK(!read_only());
    later([=, this] { disk_.write_zeroes(offset, bytes, may_unmap, done); });
  }
  void trim(ByteOffset offset, ByteCount bytes, Done done) override {
    CHECK(!read_only());
    later([=, this] { disk_.trim(offset, bytes, done); });
  }
  void flush(Done done) override {
    later([=, this] { disk_.flush(done); });
  }
  void prefetch(ByteOffset offset, ByteCount bytes, Done done) override {
    later([=, this] { disk_.prefetch(offset, bytes, done); });
  }
  void extents(ByteOffset offset, ByteCount bytes, std::size_t most, std::vector<ExportExtent>& out,
               Done done) override {
    CHECK(bytes.value > 0 && offset.value + bytes.value <= kDiskBytes);
    later([=, this, &out] { disk_.extents(offset, bytes, most, out, done); });
  }

 private:
  void later(std::function<void()> work) {
    if (!slow_) return work();
    waiting_.push_back(std::move(work));
  }
  MemoryExport disk_;
  bool slow_ = false;
  std::deque<std::function<void()>> waiting_;
};

class Client {
 public:
  explicit Client(unsigned scene)
      : structured_((scene & 2U) != 0), export_(std::make_shared<LaterExport>((scene & 4U) != 0)) {
    if ((scene & 8U) != 0) {
      limits_.outstanding_bytes = 32U << 10U;
      limits_.outstanding_requests = 8;
    }
    if ((scene & 32U) != 0) {
      limits_.connections = 1;
      limits_.server_bytes = 16U << 10U;
    }
    exports_.add("", export_);
    exports_.add("second", std::make_shared<MemoryExport>(4096));
    tls_required_ = (scene & 16U) != 0;
    peer_.emplace(exports_, limits_, tls_required_);
    if ((scene & 1U) != 0) {
      peer_->enter(structured_);
      readable_ = secured_ = true;
    }
  }

  void step(ByteReader& in) {
    const unsigned kind = in.u8();
    switch (kind % 8) {
      case 0:
        readable_ = readable_ && structured_;
        counted_ = false;
        return feed(in.bytes(std::min<std::size_t>(in.u8(), in.left())), kind);
      case 1:
        return request(in, kind);
      case 2: {
        readable_ = readable_ && structured_;
        counted_ = false;
        const std::uint32_t option = in.u8();
        return feed(nbd_option(option, in.bytes(std::min<std::size_t>(in.u8(), in.left()))), kind);
      }
      case 3:
        return peer_->stop_taking_output();
      case 4:
        return peer_->take_output_again();
      case 5:
        export_->complete(kind / 8);
        return peer_->settle();
      case 6:
        return export_->be_slow(kind >= 64);
      case 7:
        if (kind == 7) peer_->session().end_input();
        if (kind == 255) peer_->session().drop_output();
        if (kind == 7 || kind == 255) counted_ = false;
        // All input that follows stands for the content of TLS records.
        if (kind == 15 && peer_->session().wants_tls()) {
          peer_->session().secured();
          secured_ = true;
        }
        return;
    }
  }

  void end() {
    export_->be_slow(false);
    peer_->take_output_again();
    while (export_->waits()) {
      export_->complete(0);
      peer_->settle();
    }
    check_replies();
    peer_->session().end_input();
    peer_->settle();
    CHECK(peer_->session().finished() && peer_->session().in_flight() == 0);
    CHECK(peer_->budget().waiting() == 0);
  }

  void check_limits() {
    // Where TLS is required, a client without TLS gets no export.
    CHECK(!tls_required_ || secured_ || peer_->session().handshaking());
    CHECK(peer_->session().outstanding_bytes() <= limits_.outstanding_bytes + 2 * kDiskBytes);
    CHECK(peer_->session().in_flight() <= limits_.outstanding_requests);
    CHECK(peer_->budget().common_used() <= limits_.server_bytes / 2 + kDiskBytes);
  }

 private:
  void feed(ByteSpan bytes, unsigned kind) {
    if (!peer_->feed(bytes, kind >= 128 ? 1 + kind / 8 % 16 : SIZE_MAX)) counted_ = readable_ = false;
  }

  // Sends a request that is valid except for what the input chooses; a WRITE has a payload.
  void request(ByteReader& in, unsigned kind) {
    const nbd::Command command{static_cast<std::uint16_t>(in.u8() % 9)};
    const std::uint16_t flags = in.u8();
    const std::uint64_t offset = std::uint64_t{in.u16()} * 8;
    const std::uint32_t length = std::uint32_t{in.u16()} * ((kind & 64U) != 0 ? 1024 : 1);
    const bool writes = command == nbd::Command::kWrite;
    ByteVector bytes = nbd_request(command, ++cookie_, offset, length, flags);
    if (writes && length <= nbd::kMaxPayloadBytes) bytes.resize(bytes.size() + std::min(length, 1U << 20U));
    // The payload is shorter than announced, so the bytes that follow count as payload too.
    if (writes && length > (1U << 20U)) counted_ = readable_ = false;
    if (command == nbd::Command::kDisconnect) counted_ = false;
    if (command == nbd::Command::kRead) reads_[cookie_] = length;
    feed(bytes, kind);
  }

  void check_replies() {
    if (!readable_) return;
    std::map<std::uint64_t, int> answers;
    // A structured READ is answered in chunks, so no bytes follow a simple reply in that case.
    const auto read_bytes = [this](std::uint64_t cookie) { return structured_ ? 0 : reads_[cookie]; };
    for (const NbdReplyPart& part : peer_->replies(read_bytes)) {
      answers[part.cookie] += part.done ? 1 : 0;
    }
    for (std::uint64_t cookie = 1; counted_ && cookie <= cookie_; ++cookie) CHECK(answers[cookie] == 1);
  }

  const bool structured_;
  bool tls_required_ = false;
  bool secured_ = false;
  bool readable_ = false;  // the received bytes can be decoded
  bool counted_ = true;    // all requests arrived as they were sent, so each must be answered
  std::shared_ptr<LaterExport> export_;
  NbdLimits limits_;
  MemoryExports exports_;
  std::optional<NbdPeer> peer_;
  std::uint64_t cookie_ = 0;
  std::map<std::uint64_t, std::size_t> reads_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ashlar::ByteReader in(ashlar::fuzz::as_bytes(data, size));
  Client client(in.u8());
  while (in.ok() && in.left() > 0) {
    client.step(in);
    client.check_limits();
  }
  client.end();
  return 0;
}
