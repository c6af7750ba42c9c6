// The settings of a store: one object, `settings.json`.
#pragma once

#include "document/store_settings.h"
#include "io/object_store.h"

namespace ashlar {

// The defaults where there are none.
Result<StoreSettings> get_settings(ObjectStore& objects);

// Puts `now` where `before` stands: kBusy when somebody changed them meanwhile.
Status replace_settings(ObjectStore& objects, const StoreSettings& before, const StoreSettings& now);

// The settings as `change` leaves them; it is called again when somebody else was quicker.
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
