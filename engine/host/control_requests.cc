// Requests of host/control_messages.h.
#include <fmt/format.h>

#include "host/control_json.h"
#include "host/control_messages.h"

namespace ashlar {
namespace {

Json to_json(const DescribeVolume&) { return {{"verb", "describe"}}; }
Json to_json(const SnapshotVolume& request) {
  return {{"verb", "snapshot"},
          {"name", request.name},
          {"description", request.description},
          {"tags", request.tags}};
}
Json to_json(const HydrateVolume& request) {
  return {{"verb", "hydrate"}, {"rate", request.bytes_per_second}};
}
Json to_json(const ResizeVolume& request) { return {{"verb", "resize"}, {"size", request.size.value}}; }
Json to_json(const DetachVolume&) { return {{"verb", "detach"}}; }
Json to_json(const DescribeServer&) { return {{"verb", "describe"}}; }
Json to_json(const OpenVolume& request) { return {{"verb", "open"}, {"volume", request.volume.text()}}; }
Json to_json(const CloseVolume& request) { return {{"verb", "close"}, {"volume", request.volume.text()}}; }
Json to_json(const SnapshotTogether& request) {
  Json volumes = Json::array();
  for (const SnapshotTogether::One& one : request.volumes) {
    volumes.push_back({{"volume", one.volume.text()},
                       {"snapshot", one.snapshot.text()},
                       {"name", one.name},
                       {"description", one.description}});
  }
  return {{"verb", "snapshot_together"}, {"volumes", volumes}};
}

bool is_utf8(const std::string& text) { return parse_line(line_of(text)) == Json(text); }

Status check_text(std::string_view what, const std::string& text) {
  if (is_utf8(text)) return {};
  return invalid(fmt::format("{} is not UTF-8 text: a volume that is served takes UTF-8 only", what));
}

template <class Request>
Status check_texts(const Request& /*request*/) {
  return {};
}
Status check_texts(const SnapshotVolume& request) {
  TRY(check_text("the name", request.name));
  TRY(check_text("the description", request.description));
  for (const auto& [key, value] : request.tags) {
    TRY(check_text("the key of a tag", key));
    TRY(check_text(fmt::format("the value of the tag '{}'", key), value));
  }
  return {};
}
Status check_texts(const SnapshotTogether& request) {
  for (const SnapshotTogether::One& one : request.volumes) {
    TRY(check_text("the name", one.name));
    TRY(check_text("the description", one.description));
  }
  return {};
}

template <class Requests>
Result<std::string> line_of_request(const Requests& request) {
  const auto line = [](const auto& one) -> Result<std::string> {
    TRY(check_texts(one));
    return line_of(to_json(one));
  };
  return std::visit(line, request);
}

Error malformed(const std::string& verb) {
  return invalid(fmt::format("a member of the request '{}' is missing or has a wrong type", verb));
}

struct Parsed {
  Json body;
  std::string verb;
};

Result<Parsed> parse(std::string_view line) {
  Parsed parsed{parse_line(line), {}};
  if (!parsed.body.is_object()) return invalid("the request is not a JSON object");
  Members(parsed.body).text("verb", parsed.verb);
  return parsed;
}

bool read(const Json& body, Tags& tags) {
  for (const auto& [key, value] : body.items()) {
    if (!value.is_string()) return false;
    tags[key] = value.get<std::string>();
  }
  return true;
}

Result<VolumeRequest> snapshot_request(const Parsed& parsed) {
  SnapshotVolume request;
  Members members(parsed.body);
  members.text("name", request.name);
  members.text("description", request.description);
  const Json* tags = members.object("tags");
  if (!members.fine() || !read(*tags, request.tags)) return malformed(parsed.verb);
  return VolumeRequest(std::move(request));
}

Result<ServerRequest> together_request(const Parsed& parsed) {
  SnapshotTogether request;
  Members members(parsed.body);
  const Json* volumes = members.array("volumes");
  if (!volumes) return malformed(parsed.verb);
  for (const Json& one : *volumes) {
    if (!one.is_object()) return malformed(parsed.verb);
    SnapshotTogether::One wanted;
    Members of_one(one);
    of_one.id("volume", wanted.volume);
    of_one.id("snapshot", wanted.snapshot);
    of_one.text("name", wanted.name);
    of_one.text("description", wanted.description);
    if (!of_one.fine()) return malformed(parsed.verb);
    request.volumes.push_back(std::move(wanted));
  }
  return ServerRequest(std::move(request));
}

template <class Request>
Result<ServerRequest> request_of_volume(const Parsed& parsed) {
  Request request;
  Members members(parsed.body);
  members.id("volume", request.volume);
  if (!members.fine()) return malformed(parsed.verb);
  return ServerRequest(request);
}

}  // namespace

Result<std::string> encode(const VolumeRequest& request) { return line_of_request(request); }
Result<std::string> encode(const ServerRequest& request) { return line_of_request(request); }

Result<VolumeRequest> decode_volume_request(std::string_view line) {
  const Parsed parsed = TRY(parse(line));
  if (parsed.verb == "describe") return VolumeRequest(DescribeVolume{});
  if (parsed.verb == "detach") return VolumeRequest(DetachVolume{});
  if (parsed.verb == "snapshot") return snapshot_request(parsed);
  Members members(parsed.body);
  if (parsed.verb == "hydrate") {
    HydrateVolume request;
    members.number("rate", request.bytes_per_second);
    return members.fine() ? Result<VolumeRequest>(request) : malformed(parsed.verb);
  }
  if (parsed.verb == "resize") {
    ResizeVolume request;
    members.number("size", request.size.value);
    return members.fine() ? Result<VolumeRequest>(request) : malformed(parsed.verb);
  }
  return invalid(fmt::format("the volume's server does not know the request '{}'", parsed.verb));
}

Result<ServerRequest> decode_server_request(std::string_view line) {
  const Parsed parsed = TRY(parse(line));
  if (parsed.verb == "describe") return ServerRequest(DescribeServer{});
  if (parsed.verb == "open") return request_of_volume<OpenVolume>(parsed);
  if (parsed.verb == "close") return request_of_volume<CloseVolume>(parsed);
  if (parsed.verb == "snapshot_together") return together_request(parsed);
  return invalid(fmt::format("the server does not know the request '{}'", parsed.verb));
}

}  // namespace ashlar
