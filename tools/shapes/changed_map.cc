#include "shapes/changed_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include "base/checked.h"
#include "program/output.h"

namespace ashlar {
namespace {

// Member names of an object, in the order given, when they are these and no others.
bool has_members(const Json& object, std::initializer_list<const char*> names) {
  return object.size() == names.size() &&
         std::all_of(names.begin(), names.end(), [&](const char* name) { return object.contains(name); });
}

struct RawRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

std::optional<RawRange> read_range(const Json& range) {
  if (!range.is_object() || !has_members(range, {"offset", "length"})) return std::nullopt;
  if (!range["offset"].is_number_unsigned() || !range["length"].is_number_unsigned()) return std::nullopt;
  const auto begin = range["offset"].get<std::uint64_t>();
  const auto end = checked_add(begin, range["length"].get<std::uint64_t>());
  if (!end || *end > kMaxVolumeBytes) return std::nullopt;
  return RawRange{begin, *end};
}

// Reads the file in one pass: a range is checked, kept in 16 bytes and dropped from the document, so that a
// map of millions of ranges stays small in memory.
class MapParser {
 public:
  // For Json::parse: false drops what was parsed.
  bool keep(int depth, Json::parse_event_t event, const Json& parsed) {
    if (depth == 2 && event == Json::parse_event_t::object_end) return take(parsed);
    if (depth == 1 && event == Json::parse_event_t::key) in_ranges_ = parsed == "ranges";
    return true;
  }
  const std::optional<std::size_t>& bad_range() const { return bad_range_; }
  std::vector<RawRange> ranges;

 private:
  bool take(const Json& parsed) {
    if (!in_ranges_) return true;
    const auto range = read_range(parsed);
    if (range) ranges.push_back(*range);
    if (!range && !bad_range_) bad_range_ = ranges.size();
    return false;
  }
  bool in_ranges_ = false;
  std::optional<std::size_t> bad_range_;
};

std::vector<SourceExtent> whole_blocks(std::vector<RawRange> ranges) {
  std::ranges::sort(ranges, {}, &RawRange::begin);
  std::vector<SourceExtent> out;
  for (const RawRange& range : ranges) {
    if (range.begin == range.end) continue;
    const std::uint64_t begin = range.begin / kBlockBytes * kBlockBytes;
    const std::uint64_t end = (range.end + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    const std::uint64_t last = out.empty() ? 0 : out.back().offset.value + out.back().bytes.value;
    if (!out.empty() && begin <= last) {
      out.back().bytes = ByteOffset{std::max(end, last)} - out.back().offset;
    } else {
      out.push_back({ByteOffset{begin}, ByteCount{end - begin}, SourceState::kData});
    }
  }
  return out;
}

Error malformed(const std::string& path, std::string_view what) {
  return invalid(fmt::format("{}: {}; expected: {}", path, what,
                             R"({"since": "…", "token": "…", "ranges": [{"offset": N, "length": N}, …]})"));
}

}  // namespace

Result<ChangedMapFile> read_changed_map(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  // A directory can be opened, and fails when it is read.
  if (file) file.peek();
  if (file.bad() || !file.is_open()) return last_errno(path);
  file.clear();
  MapParser parser;
  const Json body = Json::parse(
      file,
      [&](int depth, Json::parse_event_t event, const Json& parsed) {
        return parser.keep(depth, event, parsed);
      },
      false);
  if (body.is_discarded()) return malformed(path, "it is not valid JSON");
  if (parser.bad_range()) {
    return malformed(
        path, fmt::format("range {} has other members than an offset and a length in bytes below 64 PiB",
                          *parser.bad_range()));
  }
  if (!body.is_object() || !has_members(body, {"since", "token", "ranges"}) || !body["since"].is_string() ||
      !body["token"].is_string() || !body["ranges"].is_array() || !body["ranges"].empty()) {
    return malformed(path, "a member is missing, unknown or of a wrong type");
  }
  return ChangedMapFile{body["since"], body["token"], whole_blocks(std::move(parser.ranges))};
}

}  // namespace ashlar
