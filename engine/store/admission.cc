#include "store/admission.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "format/pack_format.h"
#include "store/known_blocks.h"
#include "store/place_errors.h"

namespace ashlar {
namespace {

// The number of directories held in memory: 1024 of them name the blocks of 4 GiB and take about 50 MB.
constexpr std::size_t kHeldDirectories = 1024;

}  // namespace

struct Admission::State {
  State(Index& i, SegmentReader& r, LeanedPacks& l, Sink k)
      : index(i), segments(r), leaned(l), sink(std::move(k)) {}

  Index& index;
  SegmentReader& segments;
  LeanedPacks& leaned;
  Sink sink;
  KnownBlocks known{kHeldDirectories};
  std::unordered_map<SegmentId, SegmentHandle, IdHash> held;  // loaded or sealed, and still in `known`
  std::vector<SegmentId> ids;  // indexed by handle; zero while the segment is open
  AdmitCounters counters;

  bool is_open = false;
  SegmentHandle open_handle;
  SealedSegment open;
  std::uint64_t next_ordinal = 0;

  SegmentHandle new_handle(const SegmentId& id) {
    ids.push_back(id);
    return {static_cast<std::uint32_t>(ids.size() - 1)};
  }

  void forget_dropped() {
    known.take_dropped([&](SegmentHandle handle) { held.erase(ids[handle.value]); });
  }

  Result<SegmentHandle> bring_in(const SegmentId& id) {
    if (const auto found = held.find(id); found != held.end()) return found->second;
    return hold(id, TRY(segments.locate_sound(id, leaned)));
  }

  Result<SegmentHandle> bring_in_of_parent(const SegmentId& id) {
    auto handle = bring_in(id);
    if (!is(handle, ErrorCode::kCorrupt)) return handle;
    SoundSegment damaged = TRY(segments.locate_sound(id, leaned, DamagedPlaces::kCounted));
    damaged.present.reset();
    return hold(id, damaged);
  }

  SegmentHandle hold(const SegmentId& id, const SoundSegment& sound) {
    ++counters.directories_read;
    const SegmentHandle handle = new_handle(id);
    known.add(handle, sound.segment->directory.blocks, sound.present);
    forget_dropped();
    held.emplace(id, handle);
    return handle;
  }

  // Loads the directories of the segment that a hook names and of its neighbours in the pack. A segment that
  // is in no sound place is skipped: its blocks then count as new.
  Status follow_hook(const SegmentId& id) {
    if (held.contains(id)) return {};
    const auto place = TRY(index.find_segment(id));
    if (!place) return {};
    const auto neighbours = TRY(index.pack_segments(place->pack));
    const auto self = std::find_if(neighbours.begin(), neighbours.end(),
                                   [&](const SegmentEntry& entry) { return entry.id == id; });
    if (self == neighbours.end()) return {};
    const auto first = self == neighbours.begin() ? self : self - 1;
    const auto last = std::min(neighbours.end(), self + 2);
    for (auto entry = first; entry != last; ++entry) {
      auto handle = bring_in(entry->id);
      if (handle.ok()) continue;
      if (!is_not_to_rely_on(handle.error())) return handle.take_error();
    }
    return {};
  }

  // Loads directories until the hooks among the unknown blocks lead to no further one. Where a run of unknown
  // blocks begins, a stored segment may begin, and the first block of a segment is always a hook. Each
  // directory that is loaded can shorten a run and so uncover another such place.
  Status look_up(std::span<const BlockId> wanted, std::vector<std::size_t> unknown) {
    std::vector<bool> asked(wanted.size(), false);
    while (true) {
      std::erase_if(unknown, [&](std::size_t i) { return known.find(wanted[i]).has_value(); });
      std::vector<BlockId> hooks;
      for (std::size_t k = 0; k < unknown.size(); ++k) {
        const std::size_t i = unknown[k];
        const bool begins = k == 0 || unknown[k - 1] + 1 != i;
        if (asked[i] || !(begins || is_hook(wanted[i], index.hook_rate()))) continue;
        asked[i] = true;
        hooks.push_back(wanted[i]);
      }
      if (hooks.empty()) return {};
      const std::uint64_t before = counters.directories_read;
      for (const auto& segment : TRY(index.find_hooks(hooks))) {
        if (segment) TRY(follow_hook(*segment));
      }
      if (counters.directories_read == before) return {};
    }
  }

  Result<BlockPlace> append(const BlockId& id, const std::byte* data) {
    if (!is_open) {
      is_open = true;
      open_handle = new_handle({});
      open.data = AlignedBuffer(kSegmentBytes);
      open.blocks.reserve(kSegmentBlocks);
    }
    const BlockPlace place{open_handle, static_cast<std::uint16_t>(open.blocks.size())};
    std::memcpy(open.data.data() + open.blocks.size() * kBlockBytes, data, kBlockBytes);
    open.blocks.push_back(id);
    known.append(open_handle, id);
    forget_dropped();
    ++counters.new_blocks;
    if (open.blocks.size() == kSegmentBlocks) TRY(seal());
    return place;
  }

  Status seal() {
    if (!is_open) return {};
    is_open = false;
    open.id = segment_id(open.blocks);
    open.ordinal = next_ordinal++;
    ids[open_handle.value] = open.id;
    held.emplace(open.id, open_handle);
    return sink(std::exchange(open, {}));
  }
};

Admission::Admission(Index& index, SegmentReader& segments, LeanedPacks& leaned, Sink sink)
    : state_(std::make_unique<State>(index, segments, leaned, std::move(sink))) {}
Admission::~Admission() = default;

Status Admission::admit(std::span<const BlockId> ids, std::span<const std::byte* const> data,
                        std::span<BlockPlace> places) {
  CHECK(ids.size() == data.size() && ids.size() == places.size());
  State& s = *state_;
  s.counters.blocks += ids.size();
  std::vector<std::size_t> unknown(ids.size());
  std::iota(unknown.begin(), unknown.end(), std::size_t{0});
  TRY(s.look_up(ids, unknown));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    // A block that occurs twice in this batch is known at its second occurrence.
    const auto place = s.known.find(ids[i]);
    places[i] = place ? *place : TRY(s.append(ids[i], data[i]));
  }
  return {};
}

Result<SegmentHandle> Admission::bring_in(const SegmentId& id) { return state_->bring_in_of_parent(id); }
bool Admission::is_sealed(SegmentHandle handle) const { return !state_->ids[handle.value].is_zero(); }
SegmentId Admission::id_of(SegmentHandle handle) const { return state_->ids[handle.value]; }
Status Admission::seal() { return state_->seal(); }
const AdmitCounters& Admission::counters() const { return state_->counters; }

}  // namespace ashlar
