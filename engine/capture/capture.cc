#include "capture/capture.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <thread>

#include "base/either_stop.h"
#include "base/first_error.h"
#include "base/random.h"
#include "base/threads.h"
#include "capture/assembler.h"
#include "capture/segment_pipeline.h"
#include "catalog/sessions.h"
#include "codec/hash.h"
#include "store/pack_appender.h"
#include "store/stored_blocks.h"

namespace ashlar {
namespace {

constexpr std::string_view kProgram = "ashlar " ASHLAR_VERSION;

SourceKind kind_of(SourceType type) {
  switch (type) {
    case SourceType::kFile:
      return SourceKind::kFile;
    case SourceType::kDevice:
      return SourceKind::kDevice;
    case SourceType::kNbd:
      return SourceKind::kNbd;
    case SourceType::kStream:
      return SourceKind::kStream;
  }
  return SourceKind::kFile;
}

// The result of one pass over the source; everything in it is durable.
struct Pass {
  Assembler::Outcome outcome;
  TreeRoot root;
  AdmitCounters admitted;
  std::uint64_t stored_bytes = 0;
  std::uint64_t nodes_written = 0;
  std::uint64_t node_bytes_written = 0;
  std::uint64_t lost_leaves = 0;  // leaves of the parent with lost segments
};

// The parent's nodes as the plan reads them. Notes the nodes that no whole meta pack holds: the new snapshot
// may keep them, so they are written again. Any number of threads.
class ParentNodes : public NodeReader {
 public:
  ParentNodes(NodeReader& nodes, MetaWriter& writer) : nodes_(nodes), writer_(writer) {}
  Result<std::shared_ptr<const Leaf>> leaf(const NodeId& id) override {
    TRY(note(id, leaves_));
    return nodes_.leaf(id);
  }
  Result<std::shared_ptr<const InnerNode>> inner(const NodeId& id) override {
    TRY(note(id, inner_nodes_));
    return nodes_.inner(id);
  }
  // Writes the noted nodes again. The thread of the writer.
  Status write_again() {
    for (const NodeId& id : take(leaves_)) TRY(writer_.put(id, encode(*TRY(nodes_.leaf(id)))));
    for (const NodeId& id : take(inner_nodes_)) TRY(writer_.put(id, encode(*TRY(nodes_.inner(id)))));
    return {};
  }

 private:
  Status note(const NodeId& id, std::set<NodeId>& nodes) {
    if (TRY(writer_.is_in_whole_pack(id))) return {};
    const std::lock_guard lock(mutex_);
    nodes.insert(id);
    return {};
  }
  std::set<NodeId> take(std::set<NodeId>& nodes) {
    const std::lock_guard lock(mutex_);
    return std::exchange(nodes, {});
  }

  NodeReader& nodes_;
  MetaWriter& writer_;
  std::mutex mutex_;
  std::set<NodeId> leaves_;
  std::set<NodeId> inner_nodes_;
};

// The threads and stages of one pass, from the source to published packs.
class Pipeline {
 public:
  // `leaned` names the session, and so the packs that the pass writes.
  Pipeline(const WriteParts& parts, LeanedPacks& leaned, Source& source, const CaptureOptions& options,
           CaptureProgress& progress, std::optional<ChangedRegions> changed)
      : parts_(parts),
        source_(source),
        options_(options),
        progress_(progress),
        stored_(parts.segments, leaned, is_exact() ? DamagedPlaces::kCounted : DamagedPlaces::kLeftOut),
        parent_nodes_(parts.nodes, meta_),
        plan_(plan_input(source, options, std::move(changed))),
        threads_(options.threads != 0 ? options.threads : std::max(1U, std::thread::hardware_concurrency())),
        appender_(parts.objects, parts.index, parts.config.id, leaned.session()),
        segments_(appender_, parts.config.frame_blocks, parts.config.level, threads_, errors_,
                  progress.stored_bytes),
        admission_(parts.index, parts.segments, leaned,
                   [this](SealedSegment segment) { return push(std::move(segment)); }),
        meta_(
            parts.objects, parts.index, parts.config.id, leaned, [this] { return segments_.flush(); },
            &parts.damage),
        builder_(parts.nodes, meta_, source.size() ? blocks_covering(*source.size()) : unknown_size(),
                 options.parent ? std::optional(tree_root(*options.parent)) : std::nullopt) {
    errors_.on_failure([this] {
      cancel();
      if (reader_) reader_->cancel();
    });
  }

  Result<Pass> run(const std::stop_token& stop) {
    reader_ = TRY(source_.read([this] { return plan_.next_request(); }));
    const std::stop_callback on_stop(stop, [this] { errors_.report(cancelled()); });
    std::vector<std::jthread> hashers;
    hashing_ = threads_;
    for (unsigned i = 0; i < threads_; ++i) hashers.push_back(start_thread([this] { hash_loop(*reader_); }));
    Result<Pass> pass = assemble(stop);
    if (!pass.ok())
      errors_.report(pass.error());
    else if (pass.value().outcome.audit_missed)
      cancel();
    hashers.clear();
    TRY(errors_.take());  // `pass` may hold only the cancellation that followed this error
    return pass;
  }

 private:
  Plan::Input plan_input(Source& source, const CaptureOptions& options,
                         std::optional<ChangedRegions> changed) {
    const bool has_parent = options.parent.has_value();
    return {source, parent_nodes_, source.size(),
            has_parent ? std::optional(tree_root(*options.parent)) : std::nullopt, std::move(changed),
            has_parent ? options.parent->generation + 1 : 0, is_exact(), parts_.damage.any() && !is_exact(),
            // A leaf that equals its parent's is kept without reading its blocks, so this is the check of
            // them; before the commit check_still_there() checks their packs again.
            [this](const Leaf& leaf) { return stored_.has(leaf); }};
  }

  // An exact map is that of a volume. Where its base has damage, the volume has nothing else: its snapshot
  // keeps the base's blocks as they are.
  bool is_exact() const { return options_.changed && options_.changed->is_exact; }

  static BlockCount unknown_size() { return ManifestBuilder::kUnknownSize; }

  Status push(SealedSegment segment) {
    progress_.new_bytes += segment.blocks.size() * kBlockBytes;
    return segments_.push(std::move(segment));
  }

  void hash_loop(RunReader& reader) {
    while (!errors_.failed()) {
      auto run = reader.next();
      if (!run.ok()) {
        errors_.report(run.take_error());
        break;
      }
      std::optional<Run> got = run.take();
      if (!got) break;
      Plan::RunPlace place = plan_.take_place(got->ordinal);
      sequencer_.put(
          hash_run(std::move(*got), std::move(place), parts_.config.region_secret, !options_.paranoid));
    }
    if (--hashing_ == 0) {
      sequencer_.end();
      plan_.finish();
    }
  }

  Result<Pass> assemble(const std::stop_token& stop) {
    Assembler assembler({plan_, sequencer_, admission_, parts_.segments, builder_, source_,
                         options_.skip_unreadable, progress_});
    Pass pass;
    pass.outcome = TRY(assembler.run(stop));
    if (pass.outcome.audit_missed) return pass;
    if (errors_.failed()) return cancelled();
    pass.root = TRY(builder_.finish());
    TRY(segments_.flush());
    TRY(parent_nodes_.write_again());
    TRY(meta_.finish());
    pass.admitted = admission_.counters();
    pass.stored_bytes = appender_.stored_bytes();
    pass.nodes_written = meta_.nodes_written();
    pass.node_bytes_written = meta_.bytes_written();
    pass.lost_leaves = plan_.lost_leaves();
    return pass;
  }

  // Stops the stages but not the source: after an audit that found a change, another pass reads it again.
  void cancel() {
    plan_.cancel();
    sequencer_.cancel();
    segments_.cancel();
  }

  const WriteParts& parts_;
  Source& source_;
  const CaptureOptions& options_;
  CaptureProgress& progress_;
  FirstError errors_;
  // Declared before the stages with threads: they cancel it when they fail.
  std::unique_ptr<RunReader> reader_;
  StoredBlocks stored_;  // of the parent; the plan asks from one thread at a time
  ParentNodes parent_nodes_;
  Plan plan_;
  Sequencer sequencer_;
  unsigned threads_;
  std::atomic<unsigned> hashing_{0};
  PackAppender appender_;
  SegmentPipeline segments_;
  Admission admission_;
  MetaWriter meta_;
  ManifestBuilder builder_;
};

// Adds to `counts` the blocks of the parent's leaves [first, first + count).
Status count_parent(LeafCursor& cursor, const TreeRoot& parent, LeafRange leaves, BlockCounts& counts) {
  const std::uint64_t end = std::min(leaves.first + leaves.count, leaf_count(parent.blocks));
  for (std::uint64_t leaf = leaves.first; leaf < end;) {
    const LeafSpan span = TRY(cursor.at(leaf));
    const std::uint64_t count = std::min(span.count, end - leaf);
    if (span.ref.is_node()) {
      counts.add(*TRY(cursor.load(span)));
    } else {
      const std::uint64_t blocks =
          std::min(parent.blocks.value, (leaf + count) * kLeafBlocks) - leaf * kLeafBlocks;
      counts.add(extent_kind(span.ref.kind), blocks);
    }
    leaf += count;
  }
  return {};
}

// Returns the block counts of the whole volume: those of the parent, minus the blocks of its replaced leaves,
// plus the blocks that replaced them.
Result<BlockCounts> volume_counts(MetaStore& nodes, const std::optional<SnapshotRecord>& parent,
                                  const Pass& pass) {
  const std::uint64_t leaves = leaf_count(pass.root.blocks);
  std::uint64_t counted = 0;
  for (const LeafRange& range : pass.outcome.counted) counted += range.count;
  if (counted == leaves) return pass.outcome.counts;
  CHECK(parent.has_value());
  const TreeRoot root = tree_root(*parent);
  LeafCursor cursor(nodes, root);
  BlockCounts replaced;
  for (const LeafRange& range : pass.outcome.counted) TRY(count_parent(cursor, root, range, replaced));
  if (leaf_count(root.blocks) > leaves) {
    TRY(count_parent(cursor, root, {leaves, leaf_count(root.blocks) - leaves}, replaced));
  }
  BlockCounts total = pass.outcome.counts;
  total.add(ExtentKind::kData, parent->data_blocks.value);
  total.add(ExtentKind::kZero, parent->zero_blocks.value);
  total.add(ExtentKind::kUnallocated, parent->unallocated_blocks.value);
  total.add(ExtentKind::kUnreadable, parent->unreadable_blocks.value);
  for (std::size_t kind = 0; kind < total.of_kind.size(); ++kind)
    total.of_kind[kind] -= replaced.of_kind[kind];
  return total;
}

Result<SnapshotRecord> make_record(SnapshotId id, const WriteParts& parts, const Source& source,
                                   const CaptureOptions& options, const Pass& pass) {
  SnapshotRecord record;
  record.id = id;
  record.store = parts.config.id;
  record.created = UtcTime::now();
  record.size = pass.outcome.size;
  record.root_level = pass.root.level;
  record.root = pass.root.ref;
  record.content = volume_digest(record.size, record.root_level, record.root.digest);
  record.source_kind = kind_of(source.type());
  record.source_identity = identity_of(source);
  record.consistency = options.consistency;
  if (options.parent) {
    record.parent = options.parent->id;
    record.generation = options.parent->generation + 1;
  }
  const BlockCounts counts = TRY(volume_counts(parts.nodes, options.parent, pass));
  record.data_blocks = counts.count(ExtentKind::kData);
  record.zero_blocks = counts.count(ExtentKind::kZero);
  record.unallocated_blocks = counts.count(ExtentKind::kUnallocated);
  record.unreadable_blocks = counts.count(ExtentKind::kUnreadable);
  record.new_blocks = BlockCount{pass.admitted.new_blocks};
  record.new_stored_bytes = ByteCount{pass.stored_bytes};
  record.name = options.name;
  record.description = options.description;
  record.change_token = options.change_token;
  record.program = kProgram;
  record.tags = options.tags;
  return record;
}

// Checks that everything that the new snapshot needs and this session did not write is there and survives a
// loss of power: the parent's record and the packs of older sessions.
Status check_still_there(const WriteParts& parts, const CaptureOptions& options, const LeanedPacks& leaned) {
  std::vector<std::string> needed = leaned.keys();
  if (options.parent) needed.push_back(SnapshotCatalog::key_of(options.parent->id));
  return parts.objects.ensure_durable(needed).with_context("an object that the snapshot needs");
}

// Looks for damage that was found while the capture ran. What it relied on before then may be damaged.
Status check_still_sound(const WriteParts& parts, DamagedFrames::Moment began, const LeanedPacks& leaned) {
  TRY(parts.damage.refresh());
  return parts.damage.check_unchanged(began, leaned.packs());
}

// Returns the map's regions, or no value and a warning when the map must not be believed.
std::optional<ChangedRegions> usable_map(const Source& source, const CaptureOptions& options,
                                         std::vector<std::string>& warnings) {
  if (!options.changed) return std::nullopt;
  const auto refuse = [&](std::string_view why) {
    warnings.push_back(fmt::format("the changed-block map is not used, everything is read: {}", why));
    return std::nullopt;
  };
  if (options.paranoid) return refuse("a paranoid capture trusts no map");
  if (!options.parent) return refuse("there is no parent snapshot that it could refer to");
  if (!source.size()) return refuse("a stream can't be read by offset");
  if (options.changed->is_exact)
    return changed_regions(options.changed->changed, blocks_covering(*source.size()));
  if (options.changed->since_token.empty())
    return refuse("the map does not name the state that it starts from");
  if (options.changed->since_token != options.parent->change_token) {
    return refuse(fmt::format("the map starts at '{}', but the parent was captured at '{}'",
                              options.changed->since_token, options.parent->change_token));
  }
  return changed_regions(options.changed->changed, blocks_covering(*source.size()));
}

}  // namespace

SourceIdentity identity_of(const Source& source) {
  const std::string identity = source.identity();
  if (identity.empty()) return {};
  return SourceIdentity{sha256("ashlar source v1", as_byte_span(identity))};
}

namespace {

// Runs the passes and makes everything durable that the snapshot needs, and its record.
Result<CaptureReport> prepare(SnapshotId id, LeanedPacks& leaned, const WriteParts& parts, Source& source,
                              const CaptureOptions& options, CaptureProgress& progress,
                              const std::stop_token& stop) {
  TRY(parts.damage.refresh());
  const DamagedFrames::Moment began = parts.damage.now();
  CaptureReport report;
  progress.total_bytes = source.size() ? source.size()->value : 0;
  auto changed = usable_map(source, options, report.warnings);
  Pass pass = TRY(Pipeline(parts, leaned, source, options, progress, changed).run(stop));
  if (pass.outcome.audit_missed) {
    report.warnings.emplace_back(
        "THE CHANGED-BLOCK MAP IS WRONG: a block that it reports as unchanged has changed; everything was "
        "read instead");
    progress.done_bytes = 0;
    pass = TRY(Pipeline(parts, leaned, source, options, progress, std::nullopt).run(stop));
  }
  if (pass.lost_leaves > 0) {
    report.warnings.push_back(fmt::format(
        "data of the parent {} is lost or damaged in the store: {} piece{} of 4 MiB {} read again",
        options.parent->id.text(), pass.lost_leaves, pass.lost_leaves == 1 ? "" : "s",
        pass.lost_leaves == 1 ? "was" : "were"));
  }
  report.record = TRY(make_record(id, parts, source, options, pass));
  TRY(check_still_there(parts, options, leaned));
  TRY(check_still_sound(parts, began, leaned));
  report.read_bytes = pass.outcome.read_bytes;
  report.unchanged_bytes = pass.outcome.unchanged_bytes;
  report.marked_bytes = pass.outcome.marked_bytes;
  report.duplicate_bytes = byte_count(BlockCount{pass.admitted.blocks - pass.admitted.new_blocks});
  report.nodes_written = pass.nodes_written;
  report.node_bytes_written = pass.node_bytes_written;
  report.directories_read = pass.admitted.directories_read;
  report.unreadable = std::move(pass.outcome.unreadable);
  return report;
}

}  // namespace

Result<CaptureReport> capture(const WriteParts& parts, Source& source, const CaptureOptions& options,
                              CaptureProgress& progress, const std::stop_token& stop) {
  SnapshotRecord limits;
  limits.name = options.name;
  limits.description = options.description;
  limits.change_token = options.change_token;
  limits.tags = options.tags;
  TRY(check_limits(limits));
  if (source.size() && source.size()->value > kMaxVolumeBytes)
    return unsupported("the source is larger than 64 PiB");

  SessionPlan plan;
  plan.snapshots.push_back(options.id.value == 0 ? SnapshotId{random_u64()} : options.id);
  if (options.parent) plan.bases.push_back(options.parent->id);
  const SnapshotId id = plan.snapshots.front();
  const auto session = TRY(Session::begin(parts.objects, parts.config.id, std::move(plan)));
  const EitherStop either(stop, session->lost());
  auto report = prepare(id, session->leaned(), parts, source, options, progress, either.token());
  if (is(report, ErrorCode::kCorrupt) && options.parent && options.parent_is_guessed) {
    const std::string why = report.error().text();
    CaptureOptions alone = options;
    alone.parent.reset();
    alone.changed.reset();
    progress.done_bytes = 0;
    report = prepare(id, session->leaned(), parts, source, alone, progress, either.token());
    if (report.ok()) report.value().warnings.push_back("the parent is not used, everything is read: " + why);
  }
  Status committed = !report.ok()            ? Status(session->why(report.take_error()))
                     : stop.stop_requested() ? Status(cancelled())
                                             : session->commit({report.value().record});
  if (!committed.ok()) {
    if (progress.stored_bytes > 0) session->leave_packs();
    return committed.take_error();
  }
  TRY(parts.index.flush());
  report.value().session = session->id();
  return report;
}

}  // namespace ashlar
