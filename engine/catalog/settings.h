// Settings: the settings of a store, in one object, `settings.json`.
#pragma once

#include <string_view>

#include "document/store_settings.h"
#include "io/object_store.h"

namespace ashlar {

inline constexpr std::string_view kSettingsKey = "settings.json";

// Puts the defaults, for a store that has none. Fails with kBusy when there are settings.
Status put_first_settings(ObjectStore& objects);

// Returns the settings. Fails with kCorrupt, kind kSettingsLost, when they are damaged or gone.
Result<StoreSettings> get_settings(ObjectStore& objects);

// Replaces `before` by `now`. Fails with kBusy when another writer has changed the settings.
Status replace_settings(ObjectStore& objects, const StoreSettings& before, const StoreSettings& now);

// Applies `change` and returns the settings; `change` is called again when another writer was faster.
template <class Change>
Result<StoreSettings> update_settings(ObjectStore& objects, const Change& change) {
  for (;;) {
    const StoreSettings before = TRY(get_settings(objects));
    StoreSettings now = before;
    TRY(change(now));
    if (now == before) return now;
    now.revision = before.revision + 1;
    Status done = replace_settings(objects, before, now);
    if (done.ok()) return now;
    if (done.error().code() != ErrorCode::kBusy || TRY(get_settings(objects)) == before)
      return done.take_error();
  }
}

}  // namespace ashlar
