#include "template_store.h"

#include <fmt/format.h>

#include <charconv>

namespace ashlar {
namespace {

constexpr std::string_view kLatest = "$Latest";
constexpr std::string_view kDefault = "$Default";

// Returns 0 for a word that is not a number.
std::uint64_t number_in(std::string_view word) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size() ? number : 0;
}

}  // namespace

Result<TemplateReference> parse_template_reference(std::string_view text) {
  const std::size_t colon = text.find(':');
  TemplateReference wanted{std::string(text.substr(0, colon)), std::string(kDefault)};
  if (colon != std::string_view::npos) wanted.version = text.substr(colon + 1);
  TRY(check_template_name(wanted.name));
  TRY(check_version_word(wanted.version));
  return wanted;
}

Status check_version_word(std::string_view word) {
  if (word == kLatest || word == kDefault || number_in(word) > 0) return {};
  return invalid(fmt::format("'{}' is no version: a number, {} or {}", word, kLatest, kDefault));
}

Result<LaunchTemplate> find_template(ImageStore& store, std::string_view name) {
  const LaunchTemplateCatalog catalog(store.repo().objects());
  auto record = catalog.get(launch_template_id(store.account(), name));
  const bool is_it = record.ok() && record.value().name == name && record.value().owner == store.account();
  if (is_it || (!record.ok() && record.error().code() != ErrorCode::kNotFound)) return record;
  return not_found(fmt::format("no launch template '{}': 'ashlar template list' lists them", name));
}

Result<TemplateVersion> version_of(const LaunchTemplate& record, std::string_view word) {
  std::uint64_t number = number_in(word);
  if (word == kLatest) number = record.versions.back().number;
  if (word == kDefault) number = record.default_version;
  const TemplateVersion* version = find_version(record, number);
  if (version) return *version;
  return not_found(fmt::format("launch template '{}' has no version {}", record.name, word));
}

}  // namespace ashlar
