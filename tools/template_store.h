// Launch templates as the command line names them.
#pragma once

#include <string>
#include <string_view>

#include "catalog/launch_templates.h"
#include "program/image_store.h"

namespace ashlar {

// "NAME[:VERSION]"; without a version it is $Default.
struct TemplateReference {
  std::string name;
  std::string version;
};
Result<TemplateReference> parse_template_reference(std::string_view text);
// A number, $Latest or $Default.
Status check_version_word(std::string_view word);

// The account's template of that name.
Result<LaunchTemplate> find_template(ImageStore& store, std::string_view name);
// kNotFound names the template and the version.
Result<TemplateVersion> version_of(const LaunchTemplate& record, std::string_view word);

}  // namespace ashlar
