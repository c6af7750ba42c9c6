#include "quiesce/mount_table.h"

#include <sys/sysmacros.h>

#include <charconv>
#include <fstream>

namespace ashlar {
namespace {

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return words;
}

// Decodes blanks, tabs, newlines and backslashes, which mountinfo writes as three octal digits: "a\040b".
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '\\' && i + 3 < text.size() + 0U &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr == text.data() + i + 4) {
      plain.push_back(static_cast<char>(code));
      i += 3;
    } else {
      plain.push_back(text[i]);
    }
  }
  return plain;
}

template <class Number>
bool parse_number(std::string_view text, Number& out) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

bool has_option(std::string_view options, std::string_view wanted) {
  while (!options.empty()) {
    const std::size_t end = std::min(options.find(','), options.size());
    if (options.substr(0, end) == wanted) return true;
    options.remove_prefix(std::min(end + 1, options.size()));
  }
  return false;
}

}  // namespace

// Parses a line such as "36 35 98:0 /root /mnt rw,noatime shared:1 - ext3 /dev/root rw,errors=continue". Any
// number of optional words may precede the dash.
Result<MountEntry> parse_mount_line(std::string_view line) {
  const std::vector<std::string_view> words = words_of(line);
  std::size_t dash = 6;
  while (dash < words.size() && words[dash] != "-") ++dash;
  MountEntry entry;
  unsigned major_number = 0;
  unsigned minor_number = 0;
  const std::size_t colon = words.size() > 2 ? words[2].find(':') : std::string_view::npos;
  if (dash + 3 >= words.size() || colon == std::string_view::npos || !parse_number(words[0], entry.id) ||
      !parse_number(words[2].substr(0, colon), major_number) ||
      !parse_number(words[2].substr(colon + 1), minor_number)) {
    return corrupt("not a line of mountinfo: " + std::string(line));
  }
  entry.device = makedev(major_number, minor_number);
  entry.mount_point = unescape(words[4]);
  entry.source = unescape(words[dash + 2]);
  entry.read_write = has_option(words[dash + 3], "rw");
  return entry;
}

Result<std::vector<MountEntry>> mount_table() {
  std::ifstream file("/proc/self/mountinfo");
  if (!file)
    return Error(ErrorCode::kIo,
                 "/proc/self/mountinfo can't be read: it is unknown whether a source is mounted");
  std::vector<MountEntry> entries;
  for (std::string line; std::getline(file, line);) entries.push_back(TRY(parse_mount_line(line)));
  return entries;
}

}  // namespace ashlar
