// Stores: what may be asked of a store as a whole.
#pragma once

#include "action/caller.h"
#include "host/adopt.h"

namespace ashlar {

// Makes the volumes and machines that a copied store brought along its own, and warns of each that may be
// damaged because it was in use when the store was copied. Does nothing for a store that is not a copy.
Result<Adoption> adopt_store(Repo& repo, const Caller& caller);

}  // namespace ashlar
