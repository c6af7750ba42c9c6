// JSON of the control messages: shared by control_requests.cc and control_answers.cc. Internal to the module.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ashlar {

using Json = nlohmann::json;

// Returns the object as one line, without the line's end. Bytes that are not UTF-8 are replaced: in answers,
// where they belong to messages. Requests are checked before (control_requests.cc).
inline std::string line_of(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Parses a line; text that is not JSON becomes a value that is not an object. Parts that are nested deeper
// than those of any message are dropped.
inline Json parse_line(std::string_view line) {
  constexpr int kMaxDepth = 4;
  const auto is_shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= kMaxDepth; };
  return Json::parse(line, is_shallow, false);
}

// A reader of the members of one object, which must outlive it. Unlike JsonMembers it skips members that it
// is not asked for.
class Members {
 public:
  explicit Members(const Json& body) : body_(body) {}

  void text(const char* key, std::string& out) {
    if (const Json* member = find(key, &Json::is_string)) out = member->get<std::string>();
  }
  void flag(const char* key, bool& out) {
    if (const Json* member = find(key, &Json::is_boolean)) out = member->get<bool>();
  }
  void number(const char* key, std::uint64_t& out) {
    if (const Json* member = find(key, &Json::is_number_unsigned)) out = member->get<std::uint64_t>();
  }
  template <class Id>
  void id(const char* key, Id& out) {
    std::string written;
    text(key, written);
    const auto parsed = Id::parse(written);
    if (parsed.ok()) out = parsed.value();
    fine_ = fine_ && parsed.ok();
  }
  void texts(const char* key, std::vector<std::string>& out) {
    const Json* list = array(key);
    if (!list) return;
    for (const Json& one : *list) {
      fine_ = fine_ && one.is_string();
      if (one.is_string()) out.push_back(one.get<std::string>());
    }
  }
  // Returns nullptr when the member is missing or has another type.
  const Json* array(const char* key) { return find(key, &Json::is_array); }
  const Json* object(const char* key) { return find(key, &Json::is_object); }
  // Returns whether every member that was asked for was there and of its type.
  bool fine() const { return fine_; }

 private:
  const Json* find(const char* key, bool (Json::*is_type)() const noexcept) {
    const auto member = body_.find(key);
    if (member != body_.end() && ((*member).*is_type)()) return &*member;
    fine_ = false;
    return nullptr;
  }

  const Json& body_;
  bool fine_ = true;
};

}  // namespace ashlar
