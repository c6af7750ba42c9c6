#include "store/pack_appender.h"

#include "codec/hash.h"

namespace ashlar {

Result<EncodedSegment> encode_segment(const SealedSegment& segment, std::uint32_t frame_blocks,
                                      FrameEncoder& encoder) {
  EncodedSegment encoded;
  encoded.directory.id = segment.id;
  encoded.directory.blocks = segment.blocks;
  encoded.payload.reserve(segment.blocks.size() * kBlockBytes / 2);
  for (std::size_t first = 0; first < segment.blocks.size(); first += frame_blocks) {
    const std::size_t count = std::min<std::size_t>(frame_blocks, segment.blocks.size() - first);
    const auto frame =
        TRY(encoder.encode(segment.data.span().subspan(first * kBlockBytes, count * kBlockBytes)));
    encoded.directory.frames.push_back({static_cast<std::uint32_t>(frame.stored.size()), frame.codec,
                                        static_cast<std::uint8_t>(count), checksum64(frame.stored)});
    encoded.payload.insert(encoded.payload.end(), frame.stored.begin(), frame.stored.end());
  }
  return encoded;
}

PackAppender::PackAppender(ObjectStore& objects, Index& index, const StoreId& store, const SessionId& session)
    : objects_(objects), index_(index), store_(store), session_(session) {}

PackAppender::~PackAppender() = default;

Status PackAppender::append(EncodedSegment segment) {
  if (!pack_) pack_ = TRY(DataPackWriter::create(objects_, store_, session_));
  const std::uint64_t before = pack_->bytes();
  TRY(pack_->append(segment));
  stored_bytes_ += pack_->bytes() - before;
  directories_.push_back(std::move(segment.directory.blocks));
  if (pack_->bytes() >= kPackBytes) return publish();
  return {};
}

Status PackAppender::publish() {
  if (!pack_) return {};
  TRY(pack_->finish());
  std::vector<PackedSegment> segments;
  segments.reserve(directories_.size());
  for (std::size_t i = 0; i < directories_.size(); ++i) {
    segments.push_back({pack_->entries()[i], std::move(directories_[i])});
  }
  TRY(index_.add_data_pack(pack_->id(), segments));
  directories_.clear();
  pack_.reset();
  ++packs_published_;
  return {};
}

}  // namespace ashlar
