// Records in JSON: each is one object with the format's name, a version and a checksum. Pages:
// docs/format/image.md, docs/format/instance.md, docs/format/settings.md.
//
// The checksum is the XXH3-64 of the compact dump (members ascending, UTF-8 as it is) of the object without
// the checksum member. A reader checks it before it believes the version: every version of a record keeps
// these three members and the bounds of length and depth (docs/format/store.md).
//
// A member that the record's version does not know is refused: a program that replaces the record would lose
// it.
#pragma once

#include <concepts>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace ashlar {

// Deepest nesting of a record of any version: parsers recurse, and a file must not choose our stack depth.
constexpr int kMaxJsonRecordDepth = 8;

struct JsonFormat {
  std::string_view name;  // the value of "format": "ashlar instance"
  std::string_view what;  // name in messages: "instance record"
  std::uint32_t version = 1;
  std::size_t max_bytes = 0;
  int depth = 1;  // deepest nesting of this version, at most kMaxJsonRecordDepth
};

// Returns the text of a record with these members; adds "format", "version" and "checksum".
std::string write_json_record(const JsonFormat& format, nlohmann::json body);
// Returns the members of a record after it checked name, checksum and version, and puts the record's version
// into `version`. Fails with kCorrupt, or with kUnsupported for a whole record of a newer version.
Result<nlohmann::json> read_json_record(const JsonFormat& format, std::string_view text,
                                        std::uint32_t& version);

// Returns kInvalid when JSON can't represent `text`, or when it is longer than `limit` bytes.
Status check_json_text(std::string_view what, const std::string& text, std::size_t limit);

// A reader of the members of one object, which notes whether the object holds other members. The object must
// outlive the reader.
class JsonMembers {
 public:
  explicit JsonMembers(const nlohmann::json& body) : body_(body) {}

  void text(const char* key, std::string& out) {
    const nlohmann::json* member = find(key);
    if (member && member->is_string()) {
      out = member->get<std::string>();
    } else {
      fine_ = false;
    }
  }
  template <std::unsigned_integral T>
  void number(const char* key, T& out) {
    const nlohmann::json* member = find(key);
    if (member && member->is_number_unsigned() && std::in_range<T>(member->get<std::uint64_t>())) {
      out = member->get<T>();
    } else {
      fine_ = false;
    }
  }
  void flag(const char* key, bool& out) {
    const nlohmann::json* member = find(key);
    if (member && member->is_boolean()) {
      out = member->get<bool>();
    } else {
      fine_ = false;
    }
  }
  // Reads the text of an id. Only optional_id() accepts the empty text, which is value 0, "none".
  template <class Id>
  void id(const char* key, Id& out) {
    optional_id(key, out);
    if (out == Id{}) fine_ = false;
  }
  template <class Id>
  void optional_id(const char* key, Id& out) {
    std::string written;
    text(key, written);
    if (written.empty()) return;
    const auto parsed = Id::parse(written);
    if (parsed.ok() && parsed.value() != Id{}) {
      out = parsed.value();
    } else {
      fine_ = false;
    }
  }
  // Reads a list of texts.
  void texts(const char* key, std::vector<std::string>& out) {
    const nlohmann::json* list = array(key);
    if (!list) return;
    for (const nlohmann::json& one : *list) {
      if (one.is_string()) {
        out.push_back(one.get<std::string>());
      } else {
        fine_ = false;
      }
    }
  }
  // Reads one of `names`, which are in the order of the values of an enumeration that starts at 0.
  template <class Enum, class Names>
  void name(const char* key, const Names& names, Enum& out) {
    std::string written;
    text(key, written);
    for (std::size_t i = 0; i < std::size(names); ++i) {
      if (names[i] != written) continue;
      out = static_cast<Enum>(i);
      return;
    }
    fine_ = false;
  }
  // Returns the member, which may have any type; nullptr when it is missing.
  const nlohmann::json* any(const char* key) {
    return structured(key, [](const nlohmann::json&) { return true; });
  }
  // Returns nullptr when the member is missing or has another type.
  const nlohmann::json* array(const char* key) {
    return structured(key, [](const nlohmann::json& member) { return member.is_array(); });
  }
  const nlohmann::json* object(const char* key) {
    return structured(key, [](const nlohmann::json& member) { return member.is_object(); });
  }
  // Returns true when every member that was asked for was there and of its type, and the object has no
  // others.
  bool all_read() const { return fine_ && read_.size() == body_.size(); }

 private:
  const nlohmann::json* find(const char* key) {
    read_.insert(key);
    const auto member = body_.find(key);
    return member == body_.end() ? nullptr : &*member;
  }
  template <class Is>
  const nlohmann::json* structured(const char* key, Is is) {
    const nlohmann::json* member = find(key);
    if (member && is(*member)) return member;
    fine_ = false;
    return nullptr;
  }

  const nlohmann::json& body_;
  std::set<std::string> read_;
  bool fine_ = true;
};

}  // namespace ashlar
