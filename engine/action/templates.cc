#include "action/templates.h"

#include <fmt/format.h>

#include <charconv>
#include <set>

#include "image/mapping.h"

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

// The record checks the length of a mapping only.
Status check_mappings(const LaunchChoices& choices) {
  for (const std::string& mapping : choices.mappings) TRY(parse_mapping(mapping));
  return {};
}

template <class Change>
Result<LaunchTemplate> change_template(Repo& repo, const Caller& caller, std::string_view name,
                                       const Change& change) {
  const LaunchTemplate record = TRY(find_launch_template(repo, caller, name));
  return LaunchTemplateCatalog(repo.objects()).update(record.id, change);
}

// Returns numbers, because $Latest would be another version once another caller adds one.
Result<std::set<std::uint64_t>> numbers_of(const LaunchTemplate& record,
                                           const std::vector<std::string>& words) {
  std::set<std::uint64_t> numbers;
  for (const std::string& word : words) numbers.insert(TRY(template_version(record, word)).number);
  return numbers;
}

Status delete_versions(LaunchTemplate& record, const std::set<std::uint64_t>& numbers) {
  if (numbers.contains(record.default_version))
    return invalid(
        fmt::format("version {} is the default: set another default first", record.default_version));
  std::erase_if(record.versions,
                [&](const TemplateVersion& version) { return numbers.contains(version.number); });
  return {};
}

}  // namespace

Status check_template_version(std::string_view word) {
  if (word == kLatest || word == kDefault || number_in(word) > 0) return {};
  return invalid(
      fmt::format("'{}' is not a version: versions are numbers, {} or {}", word, kLatest, kDefault));
}

Result<LaunchTemplate> create_launch_template(Repo& repo, const Caller& caller,
                                              const CreateLaunchTemplate& request) {
  TRY(check_template_name(request.name));
  TRY(check_mappings(request.choices));
  LaunchTemplate record;
  record.name = request.name;
  record.owner = caller.account;
  record.id = launch_template_id(record.owner, record.name);
  record.created = UtcTime::now();
  record.versions = {{1, record.created, request.description, request.choices}};
  auto made = LaunchTemplateCatalog(repo.objects()).claim(std::move(record));
  if (is(made, ErrorCode::kBusy))
    return busy(fmt::format("launch template '{}' exists already", request.name))
        .about(ErrorKind::kTemplateExists, request.name);
  return made;
}

Result<LaunchTemplate> create_launch_template_version(Repo& repo, const Caller& caller,
                                                      const CreateLaunchTemplateVersion& request) {
  TRY(check_mappings(request.choices));
  return change_template(repo, caller, request.name, [&](LaunchTemplate& record) -> Status {
    LaunchChoices choices = request.choices;
    if (!request.source_version.empty())
      choices = merged(TRY(template_version(record, request.source_version)).choices, choices);
    record.versions.push_back({++record.numbers_given, UtcTime::now(), request.description, choices});
    return {};
  });
}

Result<NamedRecords<LaunchTemplate>> describe_launch_templates(Repo& repo, const Caller& caller) {
  return list_named(LaunchTemplateCatalog(repo.objects()), caller.account);
}

Result<LaunchTemplate> find_launch_template(Repo& repo, const Caller& caller, std::string_view name) {
  TRY(check_template_name(name));
  return find_named(LaunchTemplateCatalog(repo.objects()), launch_template_id(caller.account, name),
                    caller.account, name);
}

Result<TemplateVersion> template_version(const LaunchTemplate& record, std::string_view word) {
  TRY(check_template_version(word));
  std::uint64_t number = number_in(word);
  if (word == kLatest) number = record.versions.back().number;
  if (word == kDefault) number = record.default_version;
  const TemplateVersion* version = find_version(record, number);
  if (version) return *version;
  return not_found(fmt::format("launch template '{}' has no version {}", record.name, word));
}

Result<LaunchTemplate> modify_launch_template(Repo& repo, const Caller& caller, std::string_view name,
                                              std::string_view default_version) {
  return change_template(repo, caller, name, [&](LaunchTemplate& record) -> Status {
    record.default_version = TRY(template_version(record, default_version)).number;
    return {};
  });
}

Result<LaunchTemplateId> delete_launch_template(Repo& repo, const Caller& caller, std::string_view name) {
  TRY(check_template_name(name));
  const LaunchTemplateId id = launch_template_id(caller.account, name);
  LaunchTemplateCatalog catalog(repo.objects());
  TRY(remove_named(catalog, id, name));
  return id;
}

Result<LaunchTemplate> delete_launch_template_versions(Repo& repo, const Caller& caller,
                                                       std::string_view name,
                                                       const std::vector<std::string>& versions) {
  const LaunchTemplate record = TRY(find_launch_template(repo, caller, name));
  const auto numbers = TRY(numbers_of(record, versions));
  return LaunchTemplateCatalog(repo.objects()).update(record.id, [&](LaunchTemplate& now) {
    return delete_versions(now, numbers);
  });
}

}  // namespace ashlar
