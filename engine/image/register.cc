#include "image/register.h"

#include <algorithm>
#include <set>

#include "base/random.h"
#include "catalog/sessions.h"

namespace ashlar {
namespace {

Status fill(const SnapshotCatalog& snapshots, std::string_view whose, ImageContent& content) {
  if (content.snapshot.value == 0) return {};  // check_limits() refuses it
  if (!content.digest.is_zero()) return {};
  const SnapshotRecord record = TRY(snapshots.get(content.snapshot).with_context(whose));
  content.digest = record.content;
  content.size = record.size;
  return {};
}

constexpr std::string_view kAbandoned = "the program that made it ended before it was complete";

}  // namespace

Result<ImageRecord> make_available(ImageCatalog& images, const SnapshotCatalog& snapshots, ImageId id,
                                   const ImageBoot& boot) {
  return images.update(id, [&](ImageRecord& now) -> Status {
    if (now.state != ImageState::kPending)
      return busy(now.id.text() + " was marked as failed by another program meanwhile");
    now.boot = boot;
    TRY(fill_contents(snapshots, now));
    now.state = ImageState::kAvailable;
    now.session = {};
    return {};
  });
}

Status fill_contents(const SnapshotCatalog& snapshots, ImageRecord& record) {
  for (ImageDevice& device : record.devices) {
    if (device.kind != ImageDevice::Kind::kSnapshot) continue;
    TRY(fill(snapshots, device.name, device.content));
    if (device.size.value == 0) device.size = device.content.size;
  }
  if (record.boot.kernel) TRY(fill(snapshots, "the kernel", *record.boot.kernel));
  if (record.boot.ramdisk) TRY(fill(snapshots, "the RAM disk", *record.boot.ramdisk));
  return {};
}

// Publishes an image. A snapshot may be deleted meanwhile. Its deletion looks for images after removing the
// snapshot, and this function looks for the snapshots after publishing the image: so at least one of them
// sees the other.
Result<ImageRecord> register_image(ImageCatalog& images, const SnapshotCatalog& snapshots,
                                   ImageRecord wanted) {
  TRY(fill_contents(snapshots, wanted));
  TRY(snapshots.ensure_durable(snapshots_of(wanted)));
  wanted.id = ImageId{random_u64()};
  wanted.revision = 1;
  wanted.created = UtcTime::now();
  wanted.state = ImageState::kAvailable;
  TRY(images.publish(wanted));
  for (const SnapshotId id : snapshots_of(wanted)) {
    auto still = snapshots.get(id);
    if (still.ok()) continue;
    TRY(images.remove(wanted.id));
    return still.take_error();
  }
  return wanted;
}

Result<std::size_t> fail_abandoned_images(ImageCatalog& images, ObjectStore& objects) {
  // The images are listed first: a session that ends meanwhile has made its image available before.
  std::vector<ImageRecord> pending;
  for (const ImageId id : TRY(images.list_ids())) {
    auto record = images.get(id);
    if (record.ok() && record.value().state == ImageState::kPending) pending.push_back(record.take());
  }
  if (pending.empty()) return std::size_t{0};
  const auto ended = end_dead_sessions(objects);
  best_effort(ended.ok() ? Status() : Status(ended.error()));
  const std::set<SessionId> alive = TRY(list_living_sessions(objects));
  std::size_t failed = 0;
  for (const ImageRecord& record : pending) {
    if (alive.contains(record.session)) continue;
    const auto fail = [&](ImageRecord& now) -> Status {
      if (now.state != ImageState::kPending || now.session != record.session) return {};
      now.state = ImageState::kFailed;
      now.session = {};
      now.state_reason = kAbandoned;
      return {};
    };
    const auto updated = images.update(record.id, fail);
    if (is(updated, ErrorCode::kNotFound)) continue;  // removed meanwhile
    if (!updated.ok()) return updated.error();
    if (updated.value().state == ImageState::kFailed) ++failed;
  }
  return failed;
}

}  // namespace ashlar
