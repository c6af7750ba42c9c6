#include "host/incarnation.h"

#include <fmt/format.h>

#include <algorithm>

#include "io/replace_file.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxBytes = 64;
constexpr std::size_t kMaxDigits = 18;
constexpr const char* kName = "/incarnation";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

Status write(FileSystem& files, const std::string& directory, const std::string& text) {
  return replace_file(files, directory + kName, as_byte_span(text));
}

}  // namespace

Result<std::optional<Incarnation>> read_incarnation(FileSystem& files, const std::string& directory) {
  const std::string path = directory + kName;
  const auto bytes = read_file(files, path, kMaxBytes);
  if (is(bytes, ErrorCode::kNotFound)) return std::optional<Incarnation>();
  if (!bytes.ok()) return bytes.error();
  const std::string text(as_text(bytes.value()));
  const auto digits = static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
  if (digits == 0 || digits > kMaxDigits)
    return corrupt(path + " holds no number: write a larger one than any before");
  return std::optional(Incarnation{std::stoull(text.substr(0, digits)), text.substr(digits) != "\n"});
}

Result<std::uint64_t> begin_serving(FileSystem& files, const std::string& directory) {
  const auto before = TRY(read_incarnation(files, directory));
  std::uint64_t incarnation = 1;
  if (before) incarnation = before->number + (before->is_served ? 1 : 0);
  TRY(write(files, directory, fmt::format("{} serving\n", incarnation)));
  return incarnation;
}

Status end_serving(FileSystem& files, const std::string& directory, std::uint64_t incarnation) {
  return write(files, directory, fmt::format("{}\n", incarnation));
}

void remove_incarnation(FileSystem& files, const std::string& directory) {
  for (const char* suffix : {"", ".new"}) best_effort(files.remove(directory + kName + suffix));
}

}  // namespace ashlar
