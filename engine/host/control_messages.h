// Control messages: requests to a server that has volumes open, and its answers. Each is one line of JSON.
// Internal to the module.
//
//   a volume's own socket, in its overlay directory     the socket in the folder of overlays
//   DescribeVolume    -> VolumeState                    DescribeServer    -> ServerState
//   SnapshotVolume    -> CaptureReport                  OpenVolume        -> ServedAt
//   HydrateVolume     -> VolumeState                    CloseVolume       -> Done
//   ResizeVolume      -> VolumeState                    SnapshotTogether  -> Done
//   DetachVolume      -> DetachedVolume
//
// A request is an object with its name in "verb". An answer is an object; one that holds "error" is an Error,
// which crosses with its code, its kind and the id of the thing concerned.
//
// Members that a reader does not know are skipped; a message that lacks a member that the reader knows is an
// error, except for the kind and the id of an Error. So a reader understands messages of a later version that
// only adds members, but not those of an earlier version that lacks some of its members: end the server when
// the program is updated.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "capture/capture.h"
#include "format/tags.h"
#include "host/control_socket.h"
#include "host/volume_state.h"

namespace ashlar {

struct DescribeVolume {
  using Answer = VolumeState;
};
struct SnapshotVolume {
  // Only the id of the report's record crosses.
  using Answer = CaptureReport;
  std::string name;
  std::string description;
  Tags tags;
};
struct HydrateVolume {
  using Answer = VolumeState;
  std::uint64_t bytes_per_second = 0;  // 0: no limit
};
struct ResizeVolume {
  using Answer = VolumeState;
  ByteCount size;
};
struct DetachedVolume {
  std::string data;  // path of the raw file
};
struct DetachVolume {
  using Answer = DetachedVolume;
};
using VolumeRequest = std::variant<DescribeVolume, SnapshotVolume, HydrateVolume, ResizeVolume, DetachVolume>;

struct ServerState {
  std::vector<std::string> exports;
  std::uint64_t fetched_frames = 0;
};
struct ServedAt {
  std::string address;  // URI of the volume's export
};
struct Done {};

struct DescribeServer {
  using Answer = ServerState;
};
// Serves a volume; one that is served already stays so.
struct OpenVolume {
  using Answer = ServedAt;
  VolumeId volume;
};
struct CloseVolume {
  using Answer = Done;
  VolumeId volume;
};
struct SnapshotTogether {
  using Answer = Done;
  struct One {
    VolumeId volume;
    SnapshotId snapshot;  // id that the snapshot gets
    std::string name;
    std::string description;
  };
  std::vector<One> volumes;
};
using ServerRequest = std::variant<DescribeServer, OpenVolume, CloseVolume, SnapshotTogether>;

// Fail with kInvalid, and name the member, for a text that is not UTF-8: JSON can't hold it.
Result<std::string> encode(const VolumeRequest& request);
Result<std::string> encode(const ServerRequest& request);
// Fail with kInvalid for a line that is not a request, and for a request that is not known.
Result<VolumeRequest> decode_volume_request(std::string_view line);
Result<ServerRequest> decode_server_request(std::string_view line);

std::string encode(const VolumeState& answer);
std::string encode(const CaptureReport& answer);
std::string encode(const DetachedVolume& answer);
std::string encode(const ServerState& answer);
std::string encode(const ServedAt& answer);
std::string encode(const Done& answer);
std::string encode_error(const Error& error);
template <class Answer>
std::string encode_result(const Result<Answer>& result) {
  return result.ok() ? encode(result.value()) : encode_error(result.error());
}

// Fail with the error that the answer holds, or with kIo for a line that is not such an answer.
Status decode(std::string_view line, VolumeState& answer);
Status decode(std::string_view line, CaptureReport& answer);
Status decode(std::string_view line, DetachedVolume& answer);
Status decode(std::string_view line, ServerState& answer);
Status decode(std::string_view line, ServedAt& answer);
Status decode(std::string_view line, Done& answer);

// Asks the server that listens in `directory`. Fails with kNotFound when none does, with kInvalid for a text
// that is not UTF-8, else with the server's error.
template <class Request>
Result<typename Request::Answer> ask(const std::string& directory, const Request& request) {
  using Requests = std::conditional_t<std::is_constructible_v<VolumeRequest, const Request&>, VolumeRequest,
                                      ServerRequest>;
  const std::string line = TRY(ask_line(directory, TRY(encode(Requests(request)))));
  typename Request::Answer answer;
  TRY(decode(line, answer));
  return answer;
}

}  // namespace ashlar
