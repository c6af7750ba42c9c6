#include "document/json_record.h"

#include <fmt/format.h>

#include <algorithm>

#include "codec/hash.h"
#include "format/tags.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

// Bytes that are not UTF-8 are replaced: JSON has no form for them. Records that such a text would change are
// refused by their makers, who compare what was written with what is read.
std::string text_of(const Json& body, int indent) {
  return body.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string checksum_of(Json body) {
  body.erase("checksum");
  return fmt::format("{:016x}", checksum64(as_byte_span(text_of(body, -1))));
}

}  // namespace

std::string write_json_record(const JsonFormat& format, Json body) {
  body["format"] = format.name;
  body["version"] = format.version;
  body["checksum"] = checksum_of(body);
  return text_of(body, 2) + "\n";
}

Result<Json> read_json_record(const JsonFormat& format, std::string_view text, std::uint32_t& version) {
  const auto damaged = [&](std::string_view what) {
    return corrupt(fmt::format("{}: {}", format.what, what));
  };
  if (text.size() > format.max_bytes) return damaged("too long");
  // The parser takes a zero byte for the end of its input.
  if (text.find('\0') != std::string_view::npos) return damaged("holds a zero byte");
  int deepest = 0;
  const auto shallow = [&](int depth, Json::parse_event_t, const Json&) {
    deepest = std::max(deepest, depth);
    return deepest <= kMaxJsonRecordDepth;
  };
  Json body = Json::parse(text, shallow, false);
  if (deepest > kMaxJsonRecordDepth || !body.is_object() || body.value("format", Json()) != format.name)
    return damaged(fmt::format("not a JSON document of the format '{}'", format.name));
  if (body.value("checksum", Json()) != checksum_of(body)) return damaged("checksum does not match");
  const Json written = body.value("version", Json());
  if (!written.is_number_unsigned() || written == 0U) return damaged("impossible version");
  if (written > format.version) {
    return unsupported(fmt::format("{}: format version {} is newer than this program", format.what,
                                   written.get<std::uint64_t>()));
  }
  if (deepest > format.depth) return damaged("its members are nested too deeply");
  version = written.get<std::uint32_t>();
  for (const char* key : {"format", "version", "checksum"}) body.erase(key);
  return body;
}

Status check_json_text(std::string_view what, const std::string& text, std::size_t limit) {
  TRY(check_text(what, text, limit));
  const std::string written = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  if (Json::parse(written, nullptr, false) == text && text.find('\0') == std::string::npos) return {};
  return invalid(fmt::format("{} is not UTF-8", what));
}

}  // namespace ashlar
