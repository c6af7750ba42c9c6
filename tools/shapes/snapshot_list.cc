#include "shapes/snapshot_list.h"

namespace ashlar {

Json unread_json(const std::string& id, const Error& why) {
  return {{"id", id}, {"what", why.text()}, {"damaged", why.code() == ErrorCode::kCorrupt}};
}

Json unread_json(const SnapshotList& list) {
  Json unread = Json::array();
  for (const UnreadSnapshot& one : list.unread) unread.push_back(unread_json(one.id.text(), one.why));
  return unread;
}

ExitCode exit_code_of(const SnapshotList& list) {
  ExitCode code = ExitCode::kDone;
  for (const UnreadSnapshot& one : list.unread) code = std::max(code, exit_code_of(one.why));
  return code;
}

}  // namespace ashlar
