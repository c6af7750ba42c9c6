#include "collect/rewriter.h"

#include <fmt/format.h>

#include "codec/hash.h"

namespace ashlar {

namespace {

constexpr std::uint64_t kPublishBytes = kPackBytes / 2;  // a full disk loses at most the copies of so many

}  // namespace

Rewriter::Rewriter(ObjectStore& objects, Index& index, const StoreConfig& config, const SessionId& session,
                   int level, Survey& survey, DamagedFrames& damage, Pace& pace)
    : objects_(objects),
      index_(index),
      config_(config),
      session_(session),
      survey_(survey),
      damage_(damage),
      pace_(pace),
      encoder_(level == 0 ? nullptr : std::make_unique<FrameEncoder>(level)),
      appender_(objects, index, config.id, session) {}

Rewriter::~Rewriter() = default;

Status Rewriter::rewrite(const PackName& pack, const std::stop_token& stop) {
  TRY(pack.kind == PackKind::kData ? rewrite_data(pack.id, stop) : rewrite_meta(pack.id, stop));
  waiting_.push_back(pack);
  return unpublished_ < kPublishBytes ? Status() : publish();
}

Status Rewriter::publish() {
  TRY(publish_segments());
  TRY(publish_nodes());
  written_bytes_ += std::exchange(unpublished_, 0);
  done_.insert(done_.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  return {};
}

Status Rewriter::publish_segments() {
  TRY(appender_.publish());
  open_segments_.clear();
  return {};
}

Status Rewriter::publish_nodes() {
  if (!nodes_) return {};
  TRY(nodes_->finish());
  TRY(index_.add_meta_pack(nodes_->id(), nodes_->entries()));
  nodes_.reset();
  open_nodes_.clear();
  return {};
}

Status Rewriter::rewrite_data(const PackId& id, const std::stop_token& stop) {
  const auto pack = TRY(WholePackReader::open(objects_, PackKind::kData, id));
  const DataPackTail tail = TRY(pack->read_tail());
  // All of it is read before any of it is written: a pack with damage is not moved in part.
  std::vector<EncodedSegment> moved;
  Status damaged;
  for (const SegmentEntry& entry : tail.entries()) {
    auto directory = tail.directory(entry);
    if (is(directory, ErrorCode::kCorrupt)) continue;  // sound elsewhere, or the pack would stay
    const auto segment = locate_segment({id, entry}, TRY(std::move(directory)));
    const SegmentBlocks frames = TRY(survey_.needed(*segment));
    if (frames.none()) continue;
    auto copied = copy(*pack, *segment, frames);
    if (is(copied, ErrorCode::kCorrupt)) {
      if (damaged.ok()) damaged = copied.take_error();
      continue;
    }
    moved.push_back(TRY(std::move(copied)));
    TRY(pace_.move(2 * moved.back().payload.size(), stop));
  }
  TRY(std::move(damaged));
  for (EncodedSegment& segment : moved) {
    unpublished_ += segment.payload.size() + segment.directory.encoded_bytes();
    if (open_segments_.contains(segment.directory.id)) TRY(publish_segments());
    open_segments_.insert(segment.directory.id);
    TRY(appender_.append(std::move(segment)));
  }
  return {};
}

// Every block is decoded and compared with its id before it is stored again. Frames that are not needed
// become absent ones, so that the segment keeps its id.
Result<EncodedSegment> Rewriter::copy(const PackReader& pack, const LocatedSegment& segment,
                                      const SegmentBlocks& frames) {
  EncodedSegment moved;
  moved.directory.id = segment.directory.id;
  moved.directory.blocks = segment.directory.blocks;
  AlignedBuffer blocks(kMaxFrameBlocks * kBlockBytes);
  for (std::size_t i = 0; i < segment.directory.frames.size(); ++i) {
    const FrameEntry& frame = segment.directory.frames[i];
    if (!frames.test(segment.frame_first_block[i])) {
      moved.directory.frames.push_back({0, FrameCodec::kAbsent, frame.block_count, 0});
      continue;
    }
    ByteVector stored(frame.stored_bytes);
    TRY(pack.read_raw(segment.frame_offsets[i], stored).with_context(describe_frame(segment, i)));
    const MutableByteSpan plain = blocks.span().first(frame.block_count * kBlockBytes);
    const Status right = decode_verified(segment, i, stored, thread_decoder(), plain);
    if (is(right, ErrorCode::kCorrupt))
      damage_.report(segment.place.pack, segment.directory.id, i, right.error().text());
    TRY(right);
    FrameEntry now = frame;
    ByteSpan kept = stored;
    if (encoder_) {
      const auto encoded = TRY(encoder_->encode(plain));
      if (encoded.stored.size() < stored.size()) {
        kept = encoded.stored;
        now = {static_cast<std::uint32_t>(kept.size()), encoded.codec, frame.block_count, checksum64(kept)};
      }
    }
    moved.directory.frames.push_back(now);
    moved.payload.insert(moved.payload.end(), kept.begin(), kept.end());
  }
  return moved;
}

Status Rewriter::rewrite_meta(const PackId& id, const std::stop_token& stop) {
  const auto pack = TRY(WholePackReader::open(objects_, PackKind::kMeta, id));
  for (const NodeEntry& entry : TRY(pack->nodes())) {
    if (open_nodes_.contains(entry.id) || !TRY(survey_.is_needed(entry.id, id))) continue;
    const auto read = pack->read_node(entry).with_context(pack_key(PackKind::kMeta, id));
    if (is(read, ErrorCode::kCorrupt)) damage_.report(id, entry.id, read.error().text());
    const ByteVector node = TRY(read);
    TRY(pace_.move(2 * node.size(), stop));
    if (!nodes_) nodes_ = TRY(MetaPackWriter::create(objects_, config_.id, session_));
    TRY(nodes_->append(entry.id, node));
    open_nodes_.insert(entry.id);
    unpublished_ += node.size();
  }
  return {};
}

}  // namespace ashlar
