// Launch templates and their versions as JSON and as text.
#pragma once

#include <string>
#include <vector>

#include "document/launch_template.h"
#include "program/output.h"

namespace ashlar {

Json template_json(const LaunchTemplate& record);
Json version_json(const LaunchTemplate& record, const TemplateVersion& version);
// Returns the versions one after the other, as "name   value" lines.
std::string versions_text(const LaunchTemplate& record, const std::vector<TemplateVersion>& versions);

}  // namespace ashlar
