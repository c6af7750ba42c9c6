#include "action/image_acceptance.h"

#include "catalog/settings.h"
#include "image/signing.h"

namespace ashlar {

Status accept_image(Repo& repo, const Caller& caller, const ImageRecord& image) {
  const auto warning = TRY(check_trust(image, TRY(get_settings(repo.objects()))));
  if (warning) caller.notices.warn(*warning);
  return {};
}

}  // namespace ashlar
