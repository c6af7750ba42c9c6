// Answers of host/control_messages.h.
#include "host/control_json.h"
#include "host/control_messages.h"

namespace ashlar {
namespace {

Error no_answer() {
  return Error(ErrorCode::kIo, "the volume's server gave an answer that this program does not understand");
}

Error to_error(const Json& body) {
  std::string code;
  std::string message;
  std::string kind;
  std::string id;
  Members members(body);
  members.text("code", code);
  members.text("message", message);
  if (!members.fine()) return no_answer();
  members.text("kind", kind);
  members.text("id", id);
  Error error(error_code_named(code), std::move(message));
  return kind.empty() ? error : error.about(error_kind_named(kind), std::move(id));
}

// Returns the object of an answer that is not an error.
Result<Json> parse_answer(std::string_view line) {
  Json body = parse_line(line);
  if (!body.is_object()) return no_answer();
  const auto error = body.find("error");
  if (error == body.end()) return body;
  if (!error->is_object()) return no_answer();
  return to_error(*error);
}

Status when(bool fine) { return fine ? Status() : Status(no_answer()); }

Json to_json(const std::vector<BlockRange>& ranges) {
  Json list = Json::array();
  for (const BlockRange& range : ranges) list.push_back({range.first.value, range.count.value});
  return list;
}

bool read(const Json& list, std::vector<BlockRange>& ranges) {
  for (const Json& one : list) {
    const bool is_pair =
        one.is_array() && one.size() == 2 && one[0].is_number_unsigned() && one[1].is_number_unsigned();
    if (!is_pair) return false;
    ranges.push_back({Lba{one[0].get<std::uint64_t>()}, BlockCount{one[1].get<std::uint64_t>()}});
  }
  return true;
}

}  // namespace

std::string encode_error(const Error& error) {
  Json body = {{"code", error_code_name(error.code())}, {"message", error.text()}};
  body["kind"] = error_kind_name(error.kind());
  body["id"] = error.id();
  return line_of({{"error", body}});
}

std::string encode(const VolumeState& answer) {
  return line_of({{"served", answer.served},
                  {"hydrating", answer.hydrating},
                  {"hydration_error", answer.hydration_error},
                  {"expected_bytes", answer.expected_bytes.value},
                  {"expected_fetched_bytes", answer.expected_fetched_bytes.value},
                  {"boot_pack", answer.boot_pack},
                  {"clean_bytes", answer.clean_bytes.value},
                  {"dirty_bytes", answer.dirty_bytes.value},
                  {"zeroed_bytes", answer.zeroed_bytes.value},
                  {"absent_bytes", answer.absent_bytes.value},
                  {"reads", answer.reads},
                  {"missed_reads", answer.missed_reads},
                  {"writes", answer.writes},
                  {"fetched_bytes", answer.fetched_bytes.value},
                  {"stalled_ns", answer.stalled_ns}});
}

Status decode(std::string_view line, VolumeState& answer) {
  const Json body = TRY(parse_answer(line));
  Members members(body);
  members.flag("served", answer.served);
  members.flag("hydrating", answer.hydrating);
  members.text("hydration_error", answer.hydration_error);
  members.number("expected_bytes", answer.expected_bytes.value);
  members.number("expected_fetched_bytes", answer.expected_fetched_bytes.value);
  members.flag("boot_pack", answer.boot_pack);
  members.number("clean_bytes", answer.clean_bytes.value);
  members.number("dirty_bytes", answer.dirty_bytes.value);
  members.number("zeroed_bytes", answer.zeroed_bytes.value);
  members.number("absent_bytes", answer.absent_bytes.value);
  members.number("reads", answer.reads);
  members.number("missed_reads", answer.missed_reads);
  members.number("writes", answer.writes);
  members.number("fetched_bytes", answer.fetched_bytes.value);
  members.number("stalled_ns", answer.stalled_ns);
  return when(members.fine());
}

std::string encode(const CaptureReport& answer) {
  return line_of({{"snapshot", answer.record.id.text()},
                  {"read_bytes", answer.read_bytes.value},
                  {"unchanged_bytes", answer.unchanged_bytes.value},
                  {"duplicate_bytes", answer.duplicate_bytes.value},
                  {"nodes_written", answer.nodes_written},
                  {"node_bytes_written", answer.node_bytes_written},
                  {"directories_read", answer.directories_read},
                  {"unreadable", to_json(answer.unreadable)},
                  {"warnings", answer.warnings}});
}

Status decode(std::string_view line, CaptureReport& answer) {
  const Json body = TRY(parse_answer(line));
  Members members(body);
  members.id("snapshot", answer.record.id);
  members.number("read_bytes", answer.read_bytes.value);
  members.number("unchanged_bytes", answer.unchanged_bytes.value);
  members.number("duplicate_bytes", answer.duplicate_bytes.value);
  members.number("nodes_written", answer.nodes_written);
  members.number("node_bytes_written", answer.node_bytes_written);
  members.number("directories_read", answer.directories_read);
  members.texts("warnings", answer.warnings);
  const Json* unreadable = members.array("unreadable");
  return when(members.fine() && read(*unreadable, answer.unreadable));
}

std::string encode(const DetachedVolume& answer) { return line_of({{"data", answer.data}}); }

Status decode(std::string_view line, DetachedVolume& answer) {
  const Json body = TRY(parse_answer(line));
  Members members(body);
  members.text("data", answer.data);
  return when(members.fine());
}

std::string encode(const ServerState& answer) {
  return line_of({{"exports", answer.exports}, {"fetched_frames", answer.fetched_frames}});
}

Status decode(std::string_view line, ServerState& answer) {
  const Json body = TRY(parse_answer(line));
  Members members(body);
  members.texts("exports", answer.exports);
  members.number("fetched_frames", answer.fetched_frames);
  return when(members.fine());
}

std::string encode(const ServedAt& answer) { return line_of({{"address", answer.address}}); }

Status decode(std::string_view line, ServedAt& answer) {
  const Json body = TRY(parse_answer(line));
  Members members(body);
  members.text("address", answer.address);
  return when(members.fine());
}

std::string encode(const Done& /*answer*/) { return "{}"; }

Status decode(std::string_view line, Done& /*answer*/) {
  TRY(parse_answer(line));
  return {};
}

}  // namespace ashlar
