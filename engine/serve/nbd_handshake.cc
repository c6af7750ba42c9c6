#include "serve/nbd_handshake.h"

namespace ashlar {

using nbd::Option;
using nbd::OptionReply;

namespace {

constexpr std::size_t kClientFlagsBytes = 4;
constexpr std::size_t kExportNamePadding = 124;

// Reads a u32 length and a name; fails the reader when the name is longer than kMaxNameBytes.
std::string read_name(BigEndianReader& in) {
  const std::uint32_t size = in.u32();
  if (size > nbd::kMaxNameBytes) {
    in.bytes(SIZE_MAX);
    return {};
  }
  return std::string(as_text(in.bytes(size)));
}

struct MetaMatch {
  bool allocation = false;
  bool dirty = false;
};

// Returns which contexts a query names. Only a list may ask for a whole namespace.
MetaMatch match(std::string_view query, bool listing) {
  return {query == nbd::kAllocationContext || (listing && query == "base:"),
          query == nbd::kDirtyContext || (listing && query == "ashlar:")};
}

}  // namespace

NbdHandshake::NbdHandshake(ExportList& exports, const NbdLimits& limits, Tls tls)
    : exports_(exports), limits_(limits), tls_(tls) {
  BigEndianAppender(out_)
      .u64(nbd::kInitMagic)
      .u64(nbd::kOptionMagic)
      .u16(nbd::kFixedNewstyle | nbd::kNoZeroes);
}

std::size_t NbdHandshake::consume(ByteSpan in) {
  if (outcome_ != Outcome::kMore) return 0;
  const std::size_t taken = client_flags_ ? take_option(in) : take_client_flags(in);
  bytes_ += taken;
  if (bytes_ > limits_.handshake_bytes && outcome_ == Outcome::kMore) close();
  return taken;
}

std::size_t NbdHandshake::take_client_flags(ByteSpan in) {
  if (in.size() < kClientFlagsBytes) return 0;
  client_flags_ = load_big_endian<std::uint32_t>(in);
  if ((*client_flags_ & ~std::uint32_t{nbd::kFixedNewstyle | nbd::kNoZeroes}) != 0) return close();
  return kClientFlagsBytes;
}

std::size_t NbdHandshake::take_option(ByteSpan in) {
  if (in.size() < nbd::kOptionHeadBytes) return 0;
  BigEndianReader head(in.first(nbd::kOptionHeadBytes));
  const std::uint64_t magic = head.u64();
  const Option option{head.u32()};
  const std::uint32_t size = head.u32();
  if (magic != nbd::kOptionMagic || size > nbd::kMaxOptionBytes) return close();
  if (in.size() - nbd::kOptionHeadBytes < size) return 0;
  // Without fixed newstyle a client understands no reply to an option.
  const bool fixed = (*client_flags_ & nbd::kFixedNewstyle) != 0;
  if (++options_ > limits_.handshake_options || (!fixed && option != Option::kExportName)) return close();
  answer(option, in.subspan(nbd::kOptionHeadBytes, size));
  return nbd::kOptionHeadBytes + size;
}

void NbdHandshake::answer(Option option, ByteSpan data) {
  const bool open_to_all = option == Option::kStartTls || option == Option::kAbort;
  if (tls_ == Tls::kRequired && !open_to_all) return refuse_without_tls(option);
  switch (option) {
    case Option::kExportName:
      return export_name(data);
    case Option::kAbort:
      reply(option, OptionReply::kAck);
      outcome_ = Outcome::kClose;
      return;
    case Option::kList:
      return list(data);
    case Option::kStartTls:
      return start_tls(data);
    case Option::kInfo:
    case Option::kGo:
      return info(option, data);
    case Option::kStructuredReply:
      return structured_reply(data);
    case Option::kListMetaContext:
    case Option::kSetMetaContext:
      return meta_context(option, data);
  }
  reply(option, OptionReply::kUnsupported);
}

void NbdHandshake::refuse_without_tls(Option option) {
  // EXPORT_NAME has no reply for an error.
  if (option == Option::kExportName) {
    close();
  } else {
    reply(option, OptionReply::kTlsRequired);
  }
}

void NbdHandshake::start_tls(ByteSpan data) {
  if (tls_ == Tls::kOff) return reply(Option::kStartTls, OptionReply::kUnsupported);
  if (tls_ == Tls::kOn || !data.empty()) return reply(Option::kStartTls, OptionReply::kInvalid);
  reply(Option::kStartTls, OptionReply::kAck);
  outcome_ = Outcome::kStartTls;
}

void NbdHandshake::secured() {
  CHECK(outcome_ == Outcome::kStartTls);
  tls_ = Tls::kOn;
  outcome_ = Outcome::kMore;
}

// Answers EXPORT_NAME, the old way to choose an export: it has no reply for an error, so an error closes the
// connection.
void NbdHandshake::export_name(ByteSpan data) {
  const std::string name(as_text(data));
  if (name.size() > nbd::kMaxNameBytes) {
    close();
    return;
  }
  Result<std::shared_ptr<Export>> found = exports_.find(name);
  if (!found.ok()) {
    close();
    return;
  }
  choose(name, found.take());
  BigEndianAppender out(out_);
  out.u64(negotiated_.exported->size().value).u16(transmission_flags(*negotiated_.exported));
  if ((*client_flags_ & nbd::kNoZeroes) == 0) out.zeros(kExportNamePadding);
}

void NbdHandshake::list(ByteSpan data) {
  if (!data.empty()) return reply(Option::kList, OptionReply::kInvalid);
  for (const std::string& name : exports_.names()) {
    if (name.size() > nbd::kMaxNameBytes) continue;
    ByteVector entry;
    BigEndianAppender(entry).u32(static_cast<std::uint32_t>(name.size())).text(name);
    reply(Option::kList, OptionReply::kServer, entry);
  }
  reply(Option::kList, OptionReply::kAck);
}

void NbdHandshake::structured_reply(ByteSpan data) {
  const bool wrong = !data.empty() || negotiated_.structured;
  negotiated_.structured = negotiated_.structured || data.empty();
  reply(Option::kStructuredReply, wrong ? OptionReply::kInvalid : OptionReply::kAck);
}

void NbdHandshake::info(Option option, ByteSpan data) {
  BigEndianReader in(data);
  const std::string name = read_name(in);
  const std::uint16_t count = in.u16();
  bool with_name = false;
  for (std::uint16_t i = 0; i < count && in.ok(); ++i) {
    if (in.u16() == static_cast<std::uint16_t>(nbd::Info::kName)) with_name = true;
  }
  if (!in.done()) return reply(option, OptionReply::kInvalid);
  Result<std::shared_ptr<Export>> found = exports_.find(name);
  if (!found.ok()) return reply(option, OptionReply::kUnknown);
  send_info(option, *found.value(), name, with_name);
  reply(option, OptionReply::kAck);
  if (option == Option::kGo) choose(name, found.take());
}

void NbdHandshake::send_info(Option option, const Export& exported, const std::string& name, bool with_name) {
  ByteVector data;
  BigEndianAppender(data)
      .u16(static_cast<std::uint16_t>(nbd::Info::kExport))
      .u64(exported.size().value)
      .u16(transmission_flags(exported));
  reply(option, OptionReply::kInfo, data);
  data.clear();
  BigEndianAppender(data)
      .u16(static_cast<std::uint16_t>(nbd::Info::kBlockSize))
      .u32(nbd::kMinBlockBytes)
      .u32(nbd::kPreferredBlockBytes)
      .u32(nbd::kMaxPayloadBytes);
  reply(option, OptionReply::kInfo, data);
  if (!with_name) return;
  data.clear();
  BigEndianAppender(data).u16(static_cast<std::uint16_t>(nbd::Info::kName)).text(name);
  reply(option, OptionReply::kInfo, data);
}

void NbdHandshake::meta_context(Option option, ByteSpan data) {
  if (option == Option::kSetMetaContext) {
    // An earlier choice is void, also when this one fails.
    negotiated_.allocation = negotiated_.dirty = false;
  }
  BigEndianReader in(data);
  const std::string name = read_name(in);
  const std::uint32_t count = in.u32();
  BigEndianReader queries = in;
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) read_name(in);
  if (!negotiated_.structured || !in.done()) return reply(option, OptionReply::kInvalid);
  if (!exports_.find(name).ok()) return reply(option, OptionReply::kUnknown);
  if (option == Option::kSetMetaContext) meta_export_ = name;
  meta_queries(option, queries, count);
}

void NbdHandshake::meta_queries(Option option, BigEndianReader queries, std::uint32_t count) {
  const bool listing = option == Option::kListMetaContext;
  MetaMatch wanted{listing && count == 0, listing && count == 0};
  for (std::uint32_t i = 0; i < count; ++i) {
    const MetaMatch one = match(read_name(queries), listing);
    wanted.allocation |= one.allocation;
    wanted.dirty |= one.dirty;
  }
  const auto name_context = [&](std::uint32_t id, std::string_view name) {
    ByteVector data;
    BigEndianAppender(data).u32(id).text(name);
    reply(option, OptionReply::kMetaContext, data);
  };
  if (wanted.allocation) name_context(nbd::kAllocationId, nbd::kAllocationContext);
  if (wanted.dirty) name_context(nbd::kDirtyId, nbd::kDirtyContext);
  reply(option, OptionReply::kAck);
  if (listing) return;
  negotiated_.allocation = wanted.allocation;
  negotiated_.dirty = wanted.dirty;
}

// Ends the handshake with an export. Contexts that were chosen for another export do not apply to it.
void NbdHandshake::choose(const std::string& name, std::shared_ptr<Export> chosen) {
  if (meta_export_ != name) negotiated_.allocation = negotiated_.dirty = false;
  negotiated_.exported = std::move(chosen);
  outcome_ = Outcome::kTransmission;
}

std::size_t NbdHandshake::close() {
  outcome_ = Outcome::kClose;
  return 0;
}

void NbdHandshake::reply(Option option, OptionReply type, ByteSpan data) {
  BigEndianAppender(out_)
      .u64(nbd::kOptionReplyMagic)
      .u32(static_cast<std::uint32_t>(option))
      .u32(static_cast<std::uint32_t>(type))
      .u32(static_cast<std::uint32_t>(data.size()))
      .bytes(data);
}

std::uint16_t NbdHandshake::transmission_flags(const Export& exported) const {
  std::uint32_t flags =
      nbd::kHasFlags | nbd::kSendFlush | nbd::kSendFua | nbd::kCanMultiConn | nbd::kSendCache;
  flags |=
      exported.read_only() ? nbd::kReadOnly : nbd::kSendTrim | nbd::kSendWriteZeroes | nbd::kSendFastZero;
  if (negotiated_.structured) flags |= nbd::kSendDf;
  return static_cast<std::uint16_t>(flags);
}

}  // namespace ashlar
