#include "catalog/scrubs.h"

#include <algorithm>
#include <optional>

#include "base/random.h"

namespace ashlar {
namespace {

struct StoredScrub {
  std::optional<ByteVector> bytes;  // nothing: there is no object
  ScrubState state;
};

constexpr int kTries = 100;  // another scrub writes once in seconds

Result<StoredScrub> read_scrub(ObjectStore& objects) {
  StoredScrub stored;
  auto bytes = get_object(objects, ScrubCatalog::kStateKey, 2 * kMaxScrubStateBytes);
  if (is(bytes, ErrorCode::kNotFound)) return stored;
  if (!bytes.ok()) return bytes.take_error();
  stored.state = TRY(decode_scrub_state(bytes.value()).with_context(ScrubCatalog::kStateKey));
  stored.bytes = bytes.take();
  return stored;
}

// Returns a damaged state as bytes without meaning.
Result<StoredScrub> scrub_to_replace(ObjectStore& objects) {
  auto stored = read_scrub(objects);
  if (!is(stored, ErrorCode::kCorrupt)) return stored;
  StoredScrub damaged;
  damaged.bytes = TRY(get_object(objects, ScrubCatalog::kStateKey, std::uint64_t{1} << 20U));
  return damaged;
}

}  // namespace

Result<ScrubState> ScrubCatalog::state() const { return TRY(read_scrub(objects_)).state; }

Result<ScrubState> ScrubCatalog::note(const std::function<void(ScrubState&)>& change) {
  for (int i = 0; i < kTries; ++i) {
    const StoredScrub before = TRY(scrub_to_replace(objects_));
    ScrubState now = before.state;
    change(now);
    const UtcTime present = UtcTime::now();  // a later time is that of a clock that was wrong
    for (std::size_t group = 0; group < kScrubGroups; ++group) {
      if (before.state.checked[group] <= present)
        now.checked[group] = std::max(now.checked[group], before.state.checked[group]);
    }
    now.store = store_;
    now.revision = before.state.revision + 1;
    now.nonce = random_id<Nonce>();
    const Status done = before.bytes ? objects_.replace(kStateKey, *before.bytes, encode(now))
                                     : objects_.put_if_absent(kStateKey, encode(now));
    if (done.ok()) return now;
    if (!is(done, ErrorCode::kBusy) && !is(done, ErrorCode::kNotFound)) return done.error();
  }
  return busy("other scrubs of this store write all the time");
}

}  // namespace ashlar
