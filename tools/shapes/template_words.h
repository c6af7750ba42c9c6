// Launch templates as words of a command line.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace ashlar {

// Holds "NAME[:VERSION]"; without a version it is $Default.
struct TemplateReference {
  std::string name;
  std::string version;
};
Result<TemplateReference> parse_template_reference(std::string_view text);

}  // namespace ashlar
