// ScrubCatalog: how far the scrubs of a store are, as the object `scrub/state`. Page: docs/format/scrub.md.
#pragma once

#include <functional>
#include <string_view>

#include "format/scrub_record.h"
#include "io/object_store.h"

namespace ashlar {

class ScrubCatalog {
 public:
  static constexpr std::string_view kFolder = "scrub/";
  static constexpr std::string_view kStateKey = "scrub/state";

  ScrubCatalog(ObjectStore& objects, const StoreId& store) : objects_(objects), store_(store) {}

  // Returns the state; one in which nothing was checked yet when there is none.
  Result<ScrubState> state() const;
  // Notes when the checks of groups began. A time that another scrub has noted stays if it is later. A state
  // that is damaged is made anew: what it said is forgotten. Returns what is stored.
  Result<ScrubState> note(const std::function<void(ScrubState&)>& change);

 private:
  ObjectStore& objects_;
  StoreId store_;
};

}  // namespace ashlar
