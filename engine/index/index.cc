#include "index/index.h"

#include "index/index_state.h"

namespace ashlar {

struct Index::State : IndexState {
  using IndexState::IndexState;
};

Index::Index(std::unique_ptr<State> state) : state_(std::move(state)) {}
Index::~Index() = default;

Result<std::unique_ptr<Index>> Index::open(const std::string& path, ObjectStore& objects) {
  return std::unique_ptr<Index>(new Index(std::make_unique<State>(IndexDirectory(path), objects)));
}

Result<std::unique_ptr<Index>> Index::open_in_memory(ObjectStore& objects) {
  return std::unique_ptr<Index>(new Index(std::make_unique<State>(std::nullopt, objects)));
}

Result<CatchUpReport> Index::catch_up() { return state_->catch_up(); }
Result<CatchUpReport> Index::rebuild() { return state_->rebuild(); }

Result<std::vector<std::optional<SegmentId>>> Index::find_hooks(std::span<const BlockId> blocks) const {
  return state_->find_hooks(blocks);
}

Result<std::optional<SegmentPlace>> Index::find_segment(const SegmentId& id) const {
  return state_->find_segment(id);
}
Result<std::optional<NodePlace>> Index::find_node(const NodeId& id) const { return state_->find_node(id); }

Result<std::vector<SegmentEntry>> Index::pack_segments(const PackId& pack) const {
  auto row = TRY(state_->find_pack(pack));
  if (!row) return std::vector<SegmentEntry>();
  return std::move(row->segments);
}

Result<bool> Index::has_pack(const PackId& pack) const { return TRY(state_->find_pack(pack)).has_value(); }

Status Index::add_data_pack(const PackId& pack, std::span<const PackedSegment> segments) {
  return state_->add(rows_of(pack, segments));
}

Status Index::add_meta_pack(const PackId& pack, std::span<const NodeEntry> nodes) {
  return state_->add(rows_of(pack, nodes));
}

Status Index::forget_pack(const PackId& pack) { return state_->forget(pack); }
Status Index::flush() { return state_->flush(); }
Result<IndexStats> Index::stats() const { return state_->stats(); }

}  // namespace ashlar
