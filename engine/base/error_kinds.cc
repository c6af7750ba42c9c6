// The names of codes and kinds, as they cross a socket or stand in JSON.
#include <algorithm>
#include <array>

#include "base/result.h"

namespace ashlar {
namespace {

constexpr std::array kCodes = {std::string_view("io"),        std::string_view("corrupt"),
                               std::string_view("not_found"), std::string_view("exhausted"),
                               std::string_view("invalid"),   std::string_view("unsupported"),
                               std::string_view("busy"),      std::string_view("cancelled")};
static_assert(kCodes.size() == static_cast<std::size_t>(ErrorCode::kCancelled) + 1);

constexpr std::array kKinds = {std::string_view(""),
                               std::string_view("no_such_snapshot"),
                               std::string_view("not_in_bin"),
                               std::string_view("no_such_image"),
                               std::string_view("no_such_volume"),
                               std::string_view("no_such_instance"),
                               std::string_view("no_such_template"),
                               std::string_view("no_such_policy"),
                               std::string_view("no_such_key"),
                               std::string_view("template_exists"),
                               std::string_view("not_a_store"),
                               std::string_view("store_is_copy"),
                               std::string_view("source_in_use"),
                               std::string_view("source_unreadable"),
                               std::string_view("map_refused"),
                               std::string_view("target_has_data"),
                               std::string_view("target_exists"),
                               std::string_view("name_unfit"),
                               std::string_view("not_a_disk_file"),
                               std::string_view("raw_file_partial"),
                               std::string_view("format_unknown"),
                               std::string_view("volume_served"),
                               std::string_view("volume_not_whole"),
                               std::string_view("volume_attached"),
                               std::string_view("volume_of_machine"),
                               std::string_view("server_elsewhere"),
                               std::string_view("not_trusted"),
                               std::string_view("not_clean"),
                               std::string_view("guest_stays_on"),
                               std::string_view("session_beats"),
                               std::string_view("clock_doubtful"),
                               std::string_view("settings_lost"),
                               std::string_view("snapshot_has_losses"),
                               std::string_view("record_damaged")};
static_assert(kKinds.size() == static_cast<std::size_t>(ErrorKind::kRecordDamaged) + 1);

}  // namespace

std::string_view error_code_name(ErrorCode code) { return kCodes.at(static_cast<std::size_t>(code)); }

ErrorCode error_code_named(std::string_view name) {
  const auto* const found = std::ranges::find(kCodes, name);
  return found == kCodes.end() ? ErrorCode::kIo : static_cast<ErrorCode>(found - kCodes.begin());
}

std::string_view error_kind_name(ErrorKind kind) { return kKinds.at(static_cast<std::size_t>(kind)); }

ErrorKind error_kind_named(std::string_view name) {
  const auto* const found = std::ranges::find(kKinds, name);
  return found == kKinds.end() ? ErrorKind::kNone : static_cast<ErrorKind>(found - kKinds.begin());
}

}  // namespace ashlar
