// Rewriter: moves what is needed of packs into new packs: frames as they are stored, or compressed anew.
// Internal to the module.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <unordered_set>
#include <vector>

#include "codec/frame.h"
#include "collect/survey.h"
#include "document/store_config.h"
#include "store/pack_appender.h"

namespace ashlar {

class Rewriter {
 public:
  // New packs are those of `session`. `level` is that of zstd, or 0 to keep frames as they are.
  // Records frames and nodes that it finds damaged in `damage`.
  Rewriter(ObjectStore& objects, Index& index, const StoreConfig& config, const SessionId& session, int level,
           Survey& survey, DamagedFrames& damage, Pace& pace);
  ~Rewriter();

  // Copies what is needed of a pack, and checks every block of it. Fails with kCorrupt when a needed frame or
  // node is damaged: the pack has to stay then, and further ones may be rewritten. After another error
  // nothing more may be.
  Status rewrite(const PackName& pack, const std::stop_token& stop);
  // Publishes what was copied so far, data before nodes.
  Status publish();
  // Returns the packs of which everything needed is in published packs.
  const std::vector<PackName>& done() const { return done_; }
  std::uint64_t written_bytes() const { return written_bytes_; }

 private:
  Status rewrite_data(const PackId& pack, const std::stop_token& stop);
  Status rewrite_meta(const PackId& pack, const std::stop_token& stop);
  Result<EncodedSegment> copy(const PackReader& pack, const LocatedSegment& segment,
                              const SegmentBlocks& frames);
  Status publish_segments();
  Status publish_nodes();

  ObjectStore& objects_;
  Index& index_;
  const StoreConfig& config_;
  const SessionId session_;
  Survey& survey_;
  DamagedFrames& damage_;
  Pace& pace_;
  std::unique_ptr<FrameEncoder> encoder_;
  PackAppender appender_;
  std::unique_ptr<MetaPackWriter> nodes_;
  // In the open packs. A pack holds a segment or a node once.
  std::unordered_set<SegmentId, IdHash> open_segments_;
  std::unordered_set<NodeId, IdHash> open_nodes_;
  std::vector<PackName> waiting_;  // copied, and not all of it published
  std::vector<PackName> done_;
  std::uint64_t unpublished_ = 0;  // bytes
  std::uint64_t written_bytes_ = 0;
};

}  // namespace ashlar
