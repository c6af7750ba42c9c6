#include "host/attachment_note.h"

#include "document/json_record.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kDeviceFolder = "/dev/";
constexpr int kMaxDepth = 1;
// In the order of AttachMethod.
constexpr std::array kMethods = {"nbd-client", "nbdfuse"};

Error damaged() {
  return corrupt("this is not the note of an attachment: remove the file once no device shows the volume");
}

}  // namespace

std::string encode_attachment(VolumeId volume, const Attachment& attachment) {
  const Json body = {{"volume", volume.text()},       {"method", attach_method_name(attachment.method)},
                     {"device", attachment.device},   {"boot", to_hex(attachment.process.boot)},
                     {"pid", attachment.process.pid}, {"pid_started", attachment.process.pid_started}};
  return body.dump(2) + "\n";
}

Result<Attachment> decode_attachment(std::string_view text, VolumeId volume) {
  const auto is_shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= kMaxDepth; };
  const Json body = Json::parse(text, is_shallow, false);
  if (!body.is_object()) return damaged();
  Attachment attachment;
  VolumeId of;
  std::string boot;
  JsonMembers members(body);
  members.id("volume", of);
  members.name("method", kMethods, attachment.method);
  members.text("device", attachment.device);
  members.text("boot", boot);
  members.number("pid", attachment.process.pid);
  members.number("pid_started", attachment.process.pid_started);
  const bool fits = members.all_read() && of == volume && attachment.device.starts_with(kDeviceFolder) &&
                    from_hex(boot, attachment.process.boot).ok();
  return fits ? Result<Attachment>(std::move(attachment)) : damaged();
}

}  // namespace ashlar
