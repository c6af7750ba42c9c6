#include "action/bin.h"

#include <fmt/format.h>

#include <algorithm>

#include "action/account_images.h"
#include "catalog/settings.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kDay = std::uint64_t{24} * 3600 * 1'000'000'000;
constexpr std::uint64_t kQuietYear = 366 * kDay;  // a store may rest for so long

}  // namespace

std::string DeletedThing::id_text() const {
  return std::visit([](const auto& one) { return one.text(); }, id);
}

Result<BinList> describe_bin(Repo& repo, const Caller& caller) {
  BinList list;
  for (BinEntry& entry : TRY(repo.snapshots().list_bin(list.unread)))
    list.things.push_back({entry.snapshot, entry.deleted, std::move(entry.name)});
  const AccountImages images = AccountImages::open(repo, caller);
  for (const ImageId id : TRY(images.catalog().list_ids())) {
    auto record = images.catalog().get(id);
    if (is(record, ErrorCode::kNotFound)) continue;  // removed meanwhile
    if (!record.ok()) {
      list.unread.push_back(record.take_error());
    } else if (record.value().state == ImageState::kDeregistered && record.value().owner == caller.account) {
      list.things.push_back({id, *record.value().deregistered, record.value().name});
    }
  }
  std::ranges::stable_sort(list.things, {}, &DeletedThing::deleted);
  return list;
}

Status restore_snapshot_from_bin(Repo& repo, const Caller& /*caller*/, SnapshotId id) {
  TRY(restore_snapshot(repo.objects(), id));
  return {};
}

Status restore_image_from_bin(Repo& repo, const Caller& caller, ImageId id) {
  const auto own = AccountImages::open(repo, caller).find_own(id, true);
  if (is(own, ErrorCode::kNotFound))
    return not_found(fmt::format("no image {} in the bin", id.text())).about(ErrorKind::kNotInBin, id.text());
  if (!own.ok()) return own.error();
  TRY(restore_image(repo.objects(), id));
  return {};
}

namespace {

Status check_clock(const BinTimes& times, UtcTime now) {
  const auto doubt = [](std::string text) {
    return invalid(std::move(text)).about(ErrorKind::kClockDoubtful, "");
  };
  if (!clock_is_synchronised())
    return doubt("the clock of this host is not synchronised, and it decides what is purged");
  if (now.unix_ns - std::min(now.unix_ns, times.newest.unix_ns) > kQuietYear)
    return doubt(fmt::format("the clock says {}, but the newest in this store is of {}: it may have jumped",
                             now.iso8601(), times.newest.iso8601()));
  return {};
}

}  // namespace

Result<Purged> purge_bin(Repo& repo, const Caller& /*caller*/, PurgeAge age, PurgeClock clock) {
  const UtcTime now = UtcTime::now();
  const std::uint64_t days = age == PurgeAge::kAny ? 0 : TRY(get_settings(repo.objects())).bin_days;
  const std::uint64_t kept_ns = days * kDay;
  const UtcTime until{now.unix_ns - std::min(now.unix_ns, kept_ns)};
  const bool is_checked = days > 0 && clock == PurgeClock::kCheck;
  const auto allow = [&](const BinTimes& times) {
    return is_checked && times.oldest_deletion <= until ? check_clock(times, now) : Status();
  };
  return repo.reserve().run([&] { return purge_bin(repo.objects(), until, allow); });
}

}  // namespace ashlar
