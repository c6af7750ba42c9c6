#include "shapes/template_words.h"

#include "action/templates.h"

namespace ashlar {

Result<TemplateReference> parse_template_reference(std::string_view text) {
  const std::size_t colon = text.find(':');
  TemplateReference wanted{std::string(text.substr(0, colon)), "$Default"};
  if (colon != std::string_view::npos) wanted.version = text.substr(colon + 1);
  TRY(check_template_name(wanted.name));
  TRY(check_template_version(wanted.version));
  return wanted;
}

}  // namespace ashlar
