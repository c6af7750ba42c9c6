#include "shapes/template_output.h"

#include <fmt/format.h>

namespace ashlar {
namespace {

Json choices_json(const LaunchChoices& choices) {
  Json json = Json::object();
  const auto text = [&json](const char* key, const std::string& value) {
    if (!value.empty()) json[key] = value;
  };
  const auto number = [&json](const char* key, std::uint64_t value) {
    if (value != 0) json[key] = value;
  };
  text(ImageId::parse(choices.source).ok() ? "ImageId" : "SnapshotId", choices.source);
  if (!choices.mappings.empty()) json["Mappings"] = choices.mappings;
  text("Name", choices.name);
  number("MemoryBytes", choices.memory.value);
  number("Cpus", choices.cpus);
  number("SizeBytes", choices.size.value);
  text("Kernel", choices.kernel);
  text("Initrd", choices.initrd);
  text("Append", choices.append);
  text("Accelerator", choices.accelerator);
  text("Network", choices.network);
  if (choices.keep_volumes) json["KeepVolumes"] = true;
  return json;
}

std::string version_text(const LaunchTemplate& record, const TemplateVersion& version) {
  std::vector<std::pair<std::string, std::string>> lines = {
      {"version",
       fmt::format("{}{}", version.number, version.number == record.default_version ? " (the default)" : "")},
      {"created", version.created.iso8601()}};
  if (!version.description.empty()) lines.emplace_back("description", version.description);
  const Json choices = choices_json(version.choices);
  for (const auto& [key, value] : choices.items())
    lines.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
  return aligned(lines);
}

}  // namespace

Json template_json(const LaunchTemplate& record) {
  return {{"LaunchTemplateId", record.id.text()},
          {"LaunchTemplateName", record.name},
          {"CreateTime", record.created.iso8601()},
          {"OwnerId", record.owner.text()},
          {"DefaultVersionNumber", record.default_version},
          {"LatestVersionNumber", record.versions.back().number}};
}

Json version_json(const LaunchTemplate& record, const TemplateVersion& version) {
  return {{"LaunchTemplateId", record.id.text()},
          {"LaunchTemplateName", record.name},
          {"VersionNumber", version.number},
          {"VersionDescription", version.description},
          {"CreateTime", version.created.iso8601()},
          {"DefaultVersion", version.number == record.default_version},
          {"LaunchTemplateData", choices_json(version.choices)}};
}

std::string versions_text(const LaunchTemplate& record, const std::vector<TemplateVersion>& versions) {
  std::string text;
  for (const TemplateVersion& version : versions)
    text += (text.empty() ? "" : "\n") + version_text(record, version);
  return text;
}

}  // namespace ashlar
