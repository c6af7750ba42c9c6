#include "shapes/snapshot_list.h"

namespace ashlar {

Json unread_json(const SnapshotList& list) {
  Json unread = Json::array();
  for (const UnreadSnapshot& one : list.unread) {
    unread.push_back({{"id", one.id.text()},
                      {"what", one.why.text()},
                      {"damaged", one.why.code() == ErrorCode::kCorrupt}});
  }
  return unread;
}

ExitCode exit_code_of(const SnapshotList& list) {
  ExitCode code = ExitCode::kDone;
  for (const UnreadSnapshot& one : list.unread) code = std::max(code, exit_code_of(one.why));
  return code;
}

}  // namespace ashlar
