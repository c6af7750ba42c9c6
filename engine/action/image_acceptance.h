// Image acceptance: whether a store takes an image from elsewhere. For the actions of this module.
// Internal to the module.
#pragma once

#include "action/caller.h"
#include "document/image_record.h"
#include "repo/repo.h"

namespace ashlar {

// Checks the image against the store's settings. Warns where they say so; fails with kInvalid, kind
// kNotTrusted, when the store refuses it.
Status accept_image(Repo& repo, const Caller& caller, const ImageRecord& image);

}  // namespace ashlar
