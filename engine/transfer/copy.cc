#include "transfer/copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/either_stop.h"
#include "catalog/sessions.h"
#include "manifest/store_block_marks.h"
#include "manifest/tree_visit.h"
#include "store/meta_store.h"
#include "store/pack_appender.h"
#include "store/stored_blocks.h"
#include "transfer/outgoing_nodes.h"
#include "transfer/stored_segment.h"

namespace ashlar {
namespace {

constexpr std::size_t kWindow = 16;  // segments in memory at a time, up to 4 MiB each

// A copy into one store. Segments that are missing there are queued as leaves are visited, and sent in
// windows.
class Copier : private TreeVisitor {
 public:
  // `leaned` names the session, and so the packs that the copy writes.
  Copier(const ReadParts& source, const WriteParts& target, LeanedPacks& leaned, RegionHashes hashes,
         CopyProgress& progress, const std::stop_token& stop)
      : source_(source),
        target_(target),
        leaned_(leaned),
        progress_(progress),
        stop_(stop),
        outgoing_(hashes),
        appender_(target.objects, target.index, target.config.id, leaned.session()),
        nodes_(
            target.objects, target.index, target.config.id, leaned, [this] { return publish_segments(); },
            &target.damage) {}

  Status copy(const SnapshotRecord& snapshot) {
    return visit_tree(source_.nodes, snapshot, seen_, *this, stop_);
  }
  // Returns the record of a snapshot that was copied, with the root that the target has.
  Result<SnapshotRecord> record(const SnapshotRecord& snapshot) const { return outgoing_.record(snapshot); }
  // Publishes the rest. Afterwards everything that the copies need is published and durable. Fails with kBusy
  // when damage was found meanwhile in a pack that they rely on.
  Status finish() {
    TRY(publish_segments());
    TRY(nodes_.finish());
    TRY(target_.objects.ensure_durable(leaned_.keys()).with_context("a pack that the copy needs"));
    TRY(target_.damage.refresh());
    return target_.damage.check_unchanged(began_, leaned_.packs());
  }
  // Keeps the segments that were sent so far for the next copy. Nodes are dropped, because segments that they
  // name may not have been sent.
  void keep_what_is_there() {
    waiting_.clear();
    best_effort(appender_.publish());
  }

  void count(CopyReport& report) const {
    report.segments_sent = sent_.size();
    report.segment_bytes_sent = segment_bytes_;
    report.nodes_sent = nodes_.nodes_written();
    report.node_bytes_sent = nodes_.bytes_written();
  }

 private:
  Status visit_leaf(const NodeRef& ref, const Leaf& leaf) override {
    TRY(check_digest(leaf, block_marks_));
    const auto used = blocks_used(leaf);
    for (std::size_t i = 0; i < used.size(); ++i) TRY(want(leaf.segments[i], used[i]));
    for (const LeafExtent& extent : leaf.extents) {
      if (extent.kind == ExtentKind::kData)
        progress_.done_bytes += byte_count(BlockCount{extent.block_count}).value;
    }
    return put(TRY(outgoing_.leaf(ref, leaf)));
  }
  Status visit_inner(const NodeRef& ref, const InnerNode& node) override {
    return put(TRY(outgoing_.inner(ref, node)));
  }
  Status put(const OutgoingNodes::Node& node) { return nodes_.put(node.id, node.encoding); }

  // A segment whose blocks are partly in the target is sent with all frames that the source has.
  Status want(const SegmentId& segment, const SegmentBlocks& blocks) {
    if (const auto sent = sent_.find(segment); sent != sent_.end()) {
      if ((blocks & ~sent->second).none()) return {};
      return corrupt(fmt::format("segment {} has lost blocks that the snapshot needs", segment.hex()));
    }
    const auto waiting = std::ranges::find(waiting_, segment, &WantedSegment::id);
    if (waiting != waiting_.end()) {
      waiting->blocks |= blocks;
      return {};
    }
    if (TRY(there_.has(segment, blocks))) return {};
    waiting_.push_back({segment, blocks});
    return waiting_.size() < kWindow ? Status() : send_waiting();
  }

  Status send_waiting() {
    auto window = TRY(read_stored_segments(source_.segments, waiting_, stop_));
    waiting_.clear();
    for (EncodedSegment& segment : window) {
      sent_[segment.directory.id] = locate_segment({}, segment.directory)->present;
      segment_bytes_ += segment.payload.size();
      progress_.sent_bytes += segment.payload.size();
      TRY(appender_.append(std::move(segment)));
    }
    return {};
  }

  Status publish_segments() {
    TRY(send_waiting());
    return appender_.publish();
  }

  const ReadParts& source_;
  StoreBlockMarks block_marks_{source_.segments};
  const WriteParts& target_;
  LeanedPacks& leaned_;
  CopyProgress& progress_;
  const std::stop_token& stop_;
  OutgoingNodes outgoing_;
  PackAppender appender_;
  MetaWriter nodes_;
  std::set<SeenNode> seen_;
  std::vector<WantedSegment> waiting_;
  std::map<SegmentId, SegmentBlocks> sent_;  // the blocks of each that went along
  StoredBlocks there_{target_.segments, leaned_};
  const DamagedFrames::Moment began_ = target_.damage.now();
  std::uint64_t segment_bytes_ = 0;
};

SnapshotRecord copy_of(const SnapshotRecord& original, SnapshotId id, const StoreConfig& config) {
  SnapshotRecord record = original;
  record.id = id;
  record.parent = {};
  record.generation = 0;
  record.store = config.id;
  record.created = UtcTime::now();
  record.source_identity = {};
  record.change_token.clear();
  record.new_blocks = {};
  record.new_stored_bytes = {};
  return record;
}

}  // namespace

ProgressSample sample_of(const CopyProgress& progress) {
  ProgressSample sample;
  sample.total_bytes = progress.total_bytes;
  sample.done_bytes = progress.done_bytes;
  sample.stored_bytes = progress.sent_bytes;
  return sample;
}

Result<CopyReport> copy_snapshots(const ReadParts& source, const WriteParts& target,
                                  const std::vector<SnapshotRecord>& originals,
                                  const std::vector<SnapshotId>& ids, CopyProgress& progress,
                                  const std::stop_token& stop) {
  CHECK(originals.size() == ids.size());
  const auto session = TRY(Session::begin(target.objects, target.config.id, {ids, {}}));
  for (const SnapshotRecord& original : originals)
    progress.total_bytes += byte_count(original.data_blocks).value;
  const bool is_within = std::ranges::all_of(
      originals, [&](const SnapshotRecord& original) { return original.store == target.config.id; });
  TRY(target.damage.refresh());
  const EitherStop either(stop, session->lost());
  Copier copier(source, target, session->leaned(), is_within ? RegionHashes::kKeep : RegionHashes::kLeaveOut,
                progress, either.token());
  for (const SnapshotRecord& original : originals) {
    Status copied = copier.copy(original);
    if (!copied.ok()) {
      copier.keep_what_is_there();
      session->leave_packs();
      return session->why(copied.take_error());
    }
  }
  TRY(copier.finish());
  CopyReport report;
  copier.count(report);
  for (std::size_t i = 0; i < originals.size(); ++i)
    report.records.push_back(copy_of(TRY(copier.record(originals[i])), ids[i], target.config));
  TRY(session->commit(report.records));
  TRY(target.index.flush());
  return report;
}

}  // namespace ashlar
