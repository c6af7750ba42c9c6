#include "image/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>

namespace ashlar {
namespace {

using Values = std::vector<std::string>;

constexpr std::string_view kTagPrefix = "tag:";
constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30U;

std::string word(bool value) { return value ? "true" : "false"; }

Values of_devices(const ImageRecord& record, const std::function<std::string(const ImageDevice&)>& value) {
  Values values;
  for (const ImageDevice& device : record.devices) {
    std::string one = value(device);
    if (!one.empty()) values.push_back(std::move(one));
  }
  return values;
}

std::string of_snapshot(const ImageDevice& device, std::string value) {
  return device.kind == ImageDevice::Kind::kSnapshot ? std::move(value) : std::string();
}

std::string size_of(const ImageDevice& device) {
  return of_snapshot(device, std::to_string((device.size.value + kGibibyte - 1) / kGibibyte));
}

Values some(std::string value) { return value.empty() ? Values() : Values{std::move(value)}; }

template <class Id>
Values id_or_none(const Id& id) {
  return id == Id{} ? Values() : Values{id.text()};
}

Values boot_file(const std::optional<ImageContent>& content) {
  return content ? Values{content->snapshot.text()} : Values();
}

Values tag_keys(const ImageRecord& record) {
  Values keys;
  for (const auto& [key, value] : record.tags) keys.push_back(key);
  return keys;
}

struct Attribute {
  std::string_view name;
  Values (*values)(const ImageRecord&);
};

#define TEXT(expression) []([[maybe_unused]] const ImageRecord& r) { return some(std::string(expression)); }
#define DEVICES(expression) \
  [](const ImageRecord& r) { return of_devices(r, [](const ImageDevice& d) { return expression; }); }

constexpr std::array kAttributes = {
    Attribute{"architecture", TEXT(architecture_name(r.architecture))},
    Attribute{"block-device-mapping.delete-on-termination",
              DEVICES(of_snapshot(d, word(d.delete_on_termination)))},
    Attribute{"block-device-mapping.device-name", DEVICES(d.name)},
    Attribute{"block-device-mapping.encrypted", DEVICES(of_snapshot(d, word(false)))},
    Attribute{"block-device-mapping.snapshot-id", DEVICES(of_snapshot(d, d.content.snapshot.text()))},
    Attribute{"block-device-mapping.volume-size", DEVICES(size_of(d))},
    Attribute{"block-device-mapping.volume-type",
              DEVICES(of_snapshot(d, std::string(volume_type_name(d.volume_type))))},
    Attribute{"boot-mode", TEXT(boot_mode_name(r.boot_mode))},
    Attribute{"creation-date", TEXT(r.created.iso8601())},
    Attribute{"description", TEXT(r.description)},
    Attribute{"ena-support", TEXT(word(r.ena_support))},
    Attribute{"image-id", TEXT(r.id.text())},
    Attribute{"image-type", TEXT("machine")},
    Attribute{"is-public", TEXT(word(r.is_public))},
    Attribute{"kernel-id", [](const ImageRecord& r) { return boot_file(r.boot.kernel); }},
    Attribute{"name", TEXT(r.name)},
    Attribute{"owner-id", TEXT(r.owner.text())},
    Attribute{"platform", TEXT(r.platform)},
    Attribute{"ramdisk-id", [](const ImageRecord& r) { return boot_file(r.boot.ramdisk); }},
    Attribute{"root-device-name", TEXT(r.root_device)},
    Attribute{"root-device-type", TEXT(root_device_type_name(r.root_device_type))},
    Attribute{"source-image-id", [](const ImageRecord& r) { return id_or_none(r.source_image); }},
    Attribute{"source-instance-id", [](const ImageRecord& r) { return id_or_none(r.source_instance); }},
    Attribute{"sriov-net-support", TEXT(r.sriov_net_support)},
    Attribute{"state", TEXT(image_state_name(r.state))},
    Attribute{"state-reason-message", TEXT(r.state_reason)},
    Attribute{"tag-key", tag_keys},
    Attribute{"virtualization-type", TEXT(virtualization_type_name(r.virtualization))},
};
#undef TEXT
#undef DEVICES

Values values_of(const ImageRecord& record, std::string_view name) {
  if (name.starts_with(kTagPrefix)) {
    const auto tag = record.tags.find(std::string(name.substr(kTagPrefix.size())));
    return tag == record.tags.end() ? Values() : Values{tag->second};
  }
  const auto found = std::ranges::find(kAttributes, name, &Attribute::name);
  return found == kAttributes.end() ? Values() : found->values(record);
}

Status check_name(std::string_view name) {
  if (name.starts_with(kTagPrefix) && name.size() > kTagPrefix.size()) return {};
  if (std::ranges::find(kAttributes, name, &Attribute::name) != kAttributes.end()) return {};
  std::string known = "tag:KEY";
  for (const Attribute& attribute : kAttributes) known += fmt::format(", {}", attribute.name);
  return invalid(fmt::format("images have no '{}' to filter by; they have {}", name, known));
}

bool takes_prefix(std::string_view& text, std::string_view prefix) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  if (!std::ranges::equal(text.substr(0, prefix.size()), prefix, {}, lower)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

// Matches with one position to return to: when the rest does not match, the last '*' met takes one character
// more. Linear in practice, text × pattern at worst.
bool matches_pattern(std::string_view text, std::string_view pattern) {
  std::size_t t = 0;
  std::size_t p = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (t < text.size()) {
    const bool literal = p + 1 < pattern.size() && pattern[p] == '\\';
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (literal && pattern[p + 1] == text[t]) {
      p += 2;
      ++t;
    } else if (!literal && p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<ImageFilter> parse_image_filter(std::string_view text) {
  const auto malformed = [&] {
    return invalid(fmt::format("'{}' is not a filter: name=NAME,values=VALUE[,VALUE…]", text));
  };
  ImageFilter filter;
  std::string_view rest = text;
  if (!takes_prefix(rest, "name=")) return malformed();
  const std::size_t end = rest.find(',');
  if (end == std::string_view::npos) return malformed();
  filter.name = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  if (!takes_prefix(rest, "values=")) return malformed();
  TRY(check_name(filter.name));
  for (;;) {
    const std::size_t comma = rest.find(',');
    filter.values.emplace_back(rest.substr(0, comma));
    if (comma == std::string_view::npos) return filter;
    rest.remove_prefix(comma + 1);
  }
}

bool passes(const ImageRecord& record, const ImageFilter& filter) {
  const Values values = values_of(record, filter.name);
  return std::ranges::any_of(values, [&](const std::string& value) {
    return std::ranges::any_of(filter.values,
                               [&](const std::string& pattern) { return matches_pattern(value, pattern); });
  });
}

}  // namespace ashlar
