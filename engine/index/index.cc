#include "index/index.h"

#include <fmt/format.h>

#include <bit>

#include "index/index_state.h"

namespace ashlar {

namespace {

Status check_rate(std::uint32_t hook_rate) {
  if (std::has_single_bit(hook_rate) && hook_rate <= kMaxHookRate) return {};
  return invalid(fmt::format("index: a rate of hooks is a power of two, at most {}", kMaxHookRate));
}

}  // namespace

struct Index::State : IndexState {
  using IndexState::IndexState;
};

Index::Index(std::unique_ptr<State> state) : state_(std::move(state)) {}
Index::~Index() = default;

Result<std::unique_ptr<Index>> Index::open(const std::string& path, ObjectStore& objects,
                                           std::uint32_t hook_rate) {
  TRY(check_rate(hook_rate));
  IndexDirectory directory(path, index_format(hook_rate));
  return std::unique_ptr<Index>(new Index(std::make_unique<State>(std::move(directory), objects, hook_rate)));
}

Result<std::unique_ptr<Index>> Index::open_in_memory(ObjectStore& objects, std::uint32_t hook_rate) {
  TRY(check_rate(hook_rate));
  return std::unique_ptr<Index>(new Index(std::make_unique<State>(std::nullopt, objects, hook_rate)));
}

std::uint32_t Index::hook_rate() const { return state_->hook_rate(); }
Result<CatchUpReport> Index::catch_up() { return state_->catch_up(); }
Status Index::look_again(const SegmentId& id) { return state_->look_again(ordered_prefix(id)); }
Status Index::look_again(const NodeId& id) { return state_->look_again(ordered_prefix(id)); }
Error Index::missing(std::string text) const { return state_->missing(std::move(text)); }
Result<CatchUpReport> Index::rebuild() { return state_->rebuild(); }

Result<std::vector<std::optional<SegmentId>>> Index::find_hooks(std::span<const BlockId> blocks) const {
  return state_->find_hooks(blocks);
}

Result<std::vector<SegmentPlace>> Index::segment_places(const SegmentId& id) const {
  return state_->segment_places(id);
}
Result<std::vector<NodePlace>> Index::node_places(const NodeId& id) const { return state_->node_places(id); }

Result<std::optional<SegmentPlace>> Index::find_segment(const SegmentId& id) const {
  const auto places = TRY(state_->segment_places(id));
  return places.empty() ? std::optional<SegmentPlace>() : places.front();
}

Result<std::optional<NodePlace>> Index::find_node(const NodeId& id) const {
  const auto places = TRY(state_->node_places(id));
  return places.empty() ? std::optional<NodePlace>() : places.front();
}

Result<std::vector<SegmentEntry>> Index::pack_segments(const PackId& pack) const {
  auto row = TRY(state_->find_pack(pack));
  if (!row) return std::vector<SegmentEntry>();
  return std::move(row->segments);
}

Result<bool> Index::has_pack(const PackId& pack) const { return TRY(state_->find_pack(pack)).has_value(); }

Status Index::add_data_pack(const PackId& pack, std::span<const PackedSegment> segments) {
  return state_->add(rows_of(pack, segments, state_->hook_rate()));
}

Status Index::add_meta_pack(const PackId& pack, std::span<const NodeEntry> nodes) {
  return state_->add(rows_of(pack, nodes));
}

Status Index::forget_pack(const PackId& pack) { return state_->forget(pack); }
Status Index::flush() { return state_->flush(); }
Result<IndexStats> Index::stats() const { return state_->stats(); }

}  // namespace ashlar
