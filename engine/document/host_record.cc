#include "document/host_record.h"

#include "document/json_record.h"

namespace ashlar {
namespace {

constexpr JsonFormat kFormat = {"ashlar host", "host record", kHostVersion, kMaxHostRecordBytes, 1};
constexpr std::size_t kMaxTextBytes = 4096;

}  // namespace

std::string encode(const HostRecord& record) {
  return write_json_record(kFormat, {{"host", record.host.hex()},
                                     {"store", record.store.hex()},
                                     {"file_system", record.file_system},
                                     {"inode", record.inode},
                                     {"directory", record.directory}});
}

Result<HostRecord> decode_host_record(std::string_view text) {
  std::uint32_t version = 0;
  const nlohmann::json body = TRY(read_json_record(kFormat, text, version));
  HostRecord record;
  JsonMembers members(body);
  members.id("host", record.host);
  members.id("store", record.store);
  members.text("file_system", record.file_system);
  members.number("inode", record.inode);
  members.text("directory", record.directory);
  const bool fits = record.file_system.size() <= kMaxTextBytes && record.directory.size() <= kMaxTextBytes;
  if (!members.all_read() || !fits)
    return corrupt("host record: a member is missing, of a wrong type, or unknown");
  return record;
}

}  // namespace ashlar
