#include "host/incarnation.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "io/replace_file.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxBytes = 256;
constexpr std::size_t kMaxDigits = 18;
constexpr const char* kName = "/incarnation";

Status write(FileSystem& files, const std::string& directory, const std::string& text) {
  return replace_file(files, directory + kName, as_byte_span(text));
}

// Takes a number off the front of `text`, and a space before it.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  if (text.starts_with(' ')) text.remove_prefix(1);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

std::optional<Incarnation::Stamps> take_stamps(std::string_view& text) {
  std::array<std::uint64_t, 4> numbers{};
  for (std::uint64_t& number : numbers) {
    const auto taken = take_number(text);
    if (!taken) return std::nullopt;
    number = *taken;
  }
  return Incarnation::Stamps{{numbers[0], numbers[1]}, {numbers[2], numbers[3]}};
}

std::optional<Incarnation> parse(std::string_view text) {
  Incarnation life;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0 || digits > kMaxDigits) return std::nullopt;
  life.number = *take_number(text);
  if (text == " open\n") {
    life.is_open = true;
    return life;
  }
  if (!text.starts_with(" closed")) return std::nullopt;
  text.remove_prefix(std::string_view(" closed").size());
  if (text != "\n") {
    life.closed = take_stamps(text);
    if (!life.closed) return std::nullopt;
  }
  return text == "\n" ? std::optional(life) : std::nullopt;
}

}  // namespace

Result<std::optional<Incarnation>> read_incarnation(FileSystem& files, const std::string& directory) {
  const std::string path = directory + kName;
  const auto bytes = read_file(files, path, kMaxBytes);
  if (is(bytes, ErrorCode::kNotFound)) return std::optional<Incarnation>();
  if (!bytes.ok()) return bytes.error();
  const auto life = parse(as_text(bytes.value()));
  if (!life)
    return corrupt(path + " is damaged: write '<number> open' to it, with a number larger than any before");
  return life;
}

Result<std::uint64_t> begin_life(FileSystem& files, const std::string& directory) {
  const auto before = TRY(read_incarnation(files, directory));
  std::uint64_t incarnation = 1;
  if (before) incarnation = before->number + (before->is_open ? 1 : 0);
  TRY(write(files, directory, fmt::format("{} open\n", incarnation)));
  return incarnation;
}

Status end_life(FileSystem& files, const std::string& directory, std::uint64_t incarnation) {
  const auto data = renew_stamp(directory + "/data");
  const auto map = renew_stamp(directory + "/map");
  std::string text = fmt::format("{} closed", incarnation);
  if (data.ok() && map.ok()) {
    text += fmt::format(" {} {} {} {}", data.value().bytes, data.value().modified_ns, map.value().bytes,
                        map.value().modified_ns);
  }
  return write(files, directory, text + "\n");
}

bool is_as_closed(FileSystem& files, const std::string& directory) {
  const auto life = read_incarnation(files, directory);
  const auto data = stamp_of(directory + "/data");
  const auto map = stamp_of(directory + "/map");
  if (!life.ok() || !life.value() || !data.ok() || !map.ok()) return false;
  return life.value()->closed == Incarnation::Stamps{data.value(), map.value()};
}

Status remove_incarnation(FileSystem& files, const std::string& directory) {
  for (const char* suffix : {"", ".new"}) TRY(remove_if_there(files, directory + kName + suffix));
  return {};
}

}  // namespace ashlar
