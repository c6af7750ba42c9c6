#include "scrub/scrub.h"

#include <algorithm>
#include <map>
#include <set>

#include "scrub/checked_packs.h"

namespace ashlar {
namespace {

// A part of a scrub: it is noted when it is done.
constexpr std::uint64_t kPartBytes = std::uint64_t{1} << 30U;

struct Group {
  std::vector<PackId> data;
  std::vector<PackId> meta;
  std::uint64_t bytes = 0;
  std::size_t packs() const { return data.size() + meta.size(); }
};
using Groups = std::map<std::size_t, Group>;  // those that have packs

Result<Groups> list_groups(ObjectStore& objects) {
  Groups groups;
  for (const PackKind kind : {PackKind::kMeta, PackKind::kData}) {
    for (const ListedPack& pack : TRY(list_packs(objects, kind))) {
      Group& group = groups[scrub_group(pack.id)];
      (kind == PackKind::kData ? group.data : group.meta).push_back(pack.id);
      group.bytes += pack.bytes;
    }
  }
  return groups;
}

// A time that is still to come is that of a clock that was wrong: it says nothing.
UtcTime checked_at(const ScrubState& state, std::size_t group) {
  return state.checked[group] > UtcTime::now() ? UtcTime() : state.checked[group];
}

ScrubAge age_of(const Groups& groups, const ScrubState& state, UtcTime created) {
  ScrubAge age;
  age.oldest = UtcTime::now();
  for (const auto& [number, group] : groups) {
    const UtcTime checked = checked_at(state, number);
    age.packs += group.packs();
    if (checked.unix_ns == 0) age.never_checked += group.packs();
    age.oldest = std::min(age.oldest, std::max(checked, created));
  }
  return age;
}

class Scrub {
 public:
  Scrub(const VerifyParts& parts, const ScrubOptions& options, VerifyProgress& progress,
        const std::stop_token& stop)
      : parts_(parts),
        options_(options),
        pace_(options.bytes_per_second),
        losses_(parts, stop),
        work_{parts, progress, pace_, stop, report_.found, losses_, unread_} {}

  // The order of listing makes it safe beside captures and deletions, as in verify.
  Result<ScrubReport> run() {
    const std::vector<SnapshotId> ids = TRY(parts_.snapshots.list_ids());
    TRY(parts_.index.catch_up());
    listed_ = UtcTime::now();
    const Groups groups = TRY(list_groups(parts_.objects));
    TRY(check_damage_records(work_));
    TRY(check_small_records(work_));
    TRY(read_state());
    TRY(check_groups(groups));
    TRY(parts_.index.catch_up());  // a collection may have moved what is needed
    TRY(find_losses(ids));
    report_.age = age_of(groups, state_, parts_.config.created);
    return std::move(report_);
  }

  Result<VerifyReport> known_only() {
    const std::vector<SnapshotId> ids = TRY(parts_.snapshots.list_ids());
    TRY(parts_.index.catch_up());
    TRY(parts_.damage.refresh());
    TRY(check_small_records(work_));
    TRY(find_losses(ids));
    return std::move(report_.found);
  }

 private:
  // Charges what was found, and what is recorded of other packs, to the snapshots that need it.
  Status find_losses(const std::vector<SnapshotId>& ids) {
    TRY(note_known());
    TRY(losses_.look_at_other_places());
    TRY(walk_snapshots(work_, ids));
    report_.found.damages = TRY(losses_.take());
    return {};
  }

  // A damaged state is found by the check of the records; the scrub begins anew and replaces it.
  Status read_state() {
    auto state = catalog_.state();
    if (state.ok()) {
      state_ = state.take();
      return {};
    }
    if (!is(state, ErrorCode::kCorrupt)) return state.take_error();
    return {};
  }

  std::vector<std::size_t> order(const Groups& groups) const {
    std::vector<std::size_t> order;
    for (const auto& [number, group] : groups) {
      if (checked_at(state_, number) <= options_.before) order.push_back(number);
    }
    if (options_.cursor) {
      std::rotate(order.begin(), std::ranges::lower_bound(order, *options_.cursor), order.end());
    } else {
      std::ranges::stable_sort(order, {}, [&](std::size_t number) { return checked_at(state_, number); });
    }
    return order;
  }

  Status check_groups(const Groups& groups) {
    const std::vector<std::size_t> chosen = order(groups);
    for (const std::size_t number : chosen) work_.progress.total_bytes += groups.at(number).bytes;
    std::vector<std::size_t> part;
    Group packs;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const Group& group = groups.at(chosen[i]);
      part.push_back(chosen[i]);
      packs.data.insert(packs.data.end(), group.data.begin(), group.data.end());
      packs.meta.insert(packs.meta.end(), group.meta.begin(), group.meta.end());
      packs.bytes += group.bytes;
      if (packs.bytes < kPartBytes && i + 1 < chosen.size()) continue;
      TRY(check_part(std::exchange(part, {}), std::exchange(packs, {})));
      report_.cursor = (chosen[i] + 1) % kScrubGroups;
    }
    return {};
  }

  Status check_part(const std::vector<std::size_t>& part, const Group& packs) {
    TRY(check_packs(work_, PackKind::kMeta, packs.meta, nullptr));
    TRY(check_packs(work_, PackKind::kData, packs.data, nullptr));
    checked_.insert(packs.meta.begin(), packs.meta.end());
    checked_.insert(packs.data.begin(), packs.data.end());
    std::set<std::size_t> unread;  // groups of which something could not be read stay as they were
    for (const PackId& pack : unread_) unread.insert(scrub_group(pack));
    const auto note = [&](ScrubState& state) {
      for (const std::size_t number : part) {
        if (!unread.contains(number)) state.checked[number] = listed_;
      }
    };
    auto noted = catalog_.note(note);
    if (noted.ok()) {
      state_ = noted.take();
    } else {
      note(state_);
      report_.unnoted = noted.error().text();
    }
    return {};
  }

  // A record that is damaged may have named anything.
  DamageRecord whole(const PackId& pack) const {
    const bool is_meta = parts_.objects.stat(pack_key(PackKind::kMeta, pack)).ok();
    DamageRecord record;
    record.kind = is_meta ? PackKind::kMeta : PackKind::kData;
    record.pack = pack;
    record.is_whole = true;
    return record;
  }

  // Adds what is recorded of packs that were not checked now: they are no sound places either.
  Status note_known() {
    const DamageCatalog& records = parts_.damage.catalog();
    for (const PackId& pack : TRY(records.list_ids())) {
      if (checked_.contains(pack)) continue;
      const auto record = records.find(pack);
      if (record.ok() && record.value()) losses_.note_recorded(*record.value());
      if (is(record, ErrorCode::kCorrupt)) losses_.note_recorded(whole(pack));
    }
    return {};
  }

  const VerifyParts& parts_;
  const ScrubOptions& options_;
  Pace pace_;
  ScrubReport report_;
  Losses losses_;
  std::set<PackId> unread_;
  const PackChecks work_;
  UtcTime listed_;
  ScrubCatalog catalog_{parts_.objects, parts_.config.id};
  ScrubState state_;
  std::set<PackId> checked_;
};

}  // namespace

Result<ScrubAge> scrub_age(const VerifyParts& parts) {
  const ScrubState state = TRY(ScrubCatalog(parts.objects, parts.config.id).state());
  return age_of(TRY(list_groups(parts.objects)), state, parts.config.created);
}

Result<ScrubReport> scrub(const VerifyParts& parts, const ScrubOptions& options, VerifyProgress& progress,
                          const std::stop_token& stop) {
  return Scrub(parts, options, progress, stop).run();
}

Result<VerifyReport> describe_damage(const VerifyParts& parts, const std::stop_token& stop) {
  VerifyProgress progress;
  const ScrubOptions options;
  return Scrub(parts, options, progress, stop).known_only();
}

}  // namespace ashlar
