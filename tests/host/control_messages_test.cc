// Tests of the control messages: each arrives as it was sent, and hostile lines are errors.
#include "host/control_messages.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/temporary_directory.h"

namespace ashlar {
namespace {

template <class Request>
Request sent(const Request& request) {
  if constexpr (std::is_constructible_v<VolumeRequest, const Request&>) {
    return std::get<Request>(decode_volume_request(encode(VolumeRequest(request)).take()).take());
  } else {
    return std::get<Request>(decode_server_request(encode(ServerRequest(request)).take()).take());
  }
}

template <class Answer>
Answer answered(const Answer& answer) {
  Answer got;
  EXPECT_TRUE(decode(encode(answer), got).ok());
  return got;
}

TEST(ControlMessages, RequestsArriveAsTheyWereSent) {
  sent(DescribeVolume{});
  sent(DetachVolume{});
  sent(DescribeServer{});
  const SnapshotVolume snapshot =
      sent(SnapshotVolume{"caf\xc3\xa9\n", "of \"today\"", {{"a", "b"}, {"", "c"}}});
  EXPECT_EQ(snapshot.name, "caf\xc3\xa9\n");
  EXPECT_EQ(snapshot.description, "of \"today\"");
  EXPECT_EQ(snapshot.tags, (Tags{{"a", "b"}, {"", "c"}}));
  EXPECT_EQ(sent(HydrateVolume{~std::uint64_t{0}}).bytes_per_second, ~std::uint64_t{0});
  EXPECT_EQ(sent(ResizeVolume{ByteCount{1}}).size.value, 1U);
  EXPECT_EQ(sent(OpenVolume{VolumeId{5}}).volume, VolumeId{5});
  EXPECT_EQ(sent(CloseVolume{VolumeId{6}}).volume, VolumeId{6});
  const auto together =
      sent(SnapshotTogether{{{VolumeId{1}, SnapshotId{2}, "n", "d"}, {VolumeId{3}, SnapshotId{4}, {}, {}}}});
  ASSERT_EQ(together.volumes.size(), 2U);
  EXPECT_EQ(together.volumes[0].snapshot, SnapshotId{2});
  EXPECT_EQ(together.volumes[0].description, "d");
  EXPECT_EQ(together.volumes[1].volume, VolumeId{3});
}

TEST(ControlMessages, AnswersArriveAsTheyWereGiven) {
  const VolumeState state{true,
                          true,
                          "bad sector",
                          ByteCount{1},
                          ByteCount{2},
                          true,
                          ByteCount{3},
                          ByteCount{4},
                          ByteCount{5},
                          ByteCount{6},
                          7,
                          8,
                          9,
                          ByteCount{10},
                          11};
  EXPECT_EQ(answered(state), state);
  CaptureReport report;
  report.record.id = SnapshotId{77};
  report.read_bytes = ByteCount{1};
  report.directories_read = 2;
  report.unreadable = {{Lba{3}, BlockCount{4}}};
  report.warnings = {"one", "two"};
  const CaptureReport got = answered(report);
  EXPECT_EQ(got.record.id, SnapshotId{77});
  EXPECT_EQ(got.directories_read, 2U);
  EXPECT_EQ(got.unreadable, report.unreadable);
  EXPECT_EQ(got.warnings, report.warnings);
  EXPECT_EQ(answered(DetachedVolume{"/a b"}).data, "/a b");
  EXPECT_EQ(answered(ServerState{{"vol-1", "vol-2"}, 3}).exports.size(), 2U);
  EXPECT_EQ(answered(ServedAt{"nbd+unix:///x"}).address, "nbd+unix:///x");
  answered(Done{});
}

TEST(ControlMessages, AnErrorCrossesWithCodeKindAndId) {
  const Error error = busy("vol-1 is attached").about(ErrorKind::kVolumeAttached, "vol-1");
  VolumeState state;
  const Status got = decode(encode_error(error), state);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), ErrorCode::kBusy);
  EXPECT_EQ(got.error().text(), error.text());
  EXPECT_EQ(got.error().kind(), ErrorKind::kVolumeAttached);
  EXPECT_EQ(got.error().id(), "vol-1");
  Done done;
  EXPECT_EQ(decode(encode_error(corrupt("x")), done).error().kind(), ErrorKind::kNone);
}

TEST(ControlMessages, ControlCharactersDoNotBreakALine) {
  const std::string text("\0\r\n", 3);
  EXPECT_EQ(sent(SnapshotVolume{"n", text, {}}).description, text);
  EXPECT_EQ(encode(VolumeRequest(SnapshotVolume{"\n", {}, {}})).take().find('\n'), std::string::npos);
}

// JSON can't hold such a text. A replacement would change a name, and make one tag of two.
TEST(ControlMessages, ARequestWithATextThatIsNotUtf8IsRefused) {
  const auto refusal = [](const auto& request) {
    const auto line = encode(request);
    EXPECT_TRUE(is(line, ErrorCode::kInvalid));
    return line.ok() ? "" : line.error().text();
  };
  const std::string rest = " is not UTF-8 text: a volume that is served takes UTF-8 only";
  EXPECT_EQ(refusal(VolumeRequest(SnapshotVolume{"a\xff", {}, {}})), "the name" + rest);
  EXPECT_EQ(refusal(VolumeRequest(SnapshotVolume{"a", "caf\xe9", {}})), "the description" + rest);
  EXPECT_EQ(refusal(VolumeRequest(SnapshotVolume{"a", {}, {{"k\xff", "1"}, {"k\xfe", "2"}}})),
            "the key of a tag" + rest);
  EXPECT_EQ(refusal(VolumeRequest(SnapshotVolume{"a", {}, {{"k", "\xc3"}}})),
            "the value of the tag 'k'" + rest);
  EXPECT_EQ(refusal(ServerRequest(SnapshotTogether{{{VolumeId{1}, SnapshotId{2}, "\xff", {}}}})),
            "the name" + rest);
  EXPECT_EQ(refusal(ServerRequest(SnapshotTogether{{{VolumeId{1}, SnapshotId{2}, {}, "\xff"}}})),
            "the description" + rest);
}

const std::vector<std::string>& hostile_lines() {
  static const std::vector<std::string> lines = {
      "",
      "{",
      "null",
      "[]",
      "7",
      "{}",
      R"({"verb": 7})",
      R"({"verb": []})",
      R"({"verb": "burn"})",
      R"({"verb": "hydrate"})",
      R"({"verb": "hydrate", "rate": "x"})",
      R"({"verb": "hydrate", "rate": -1})",
      R"({"verb": "hydrate", "rate": 1e300})",
      R"({"verb": "resize", "size": null})",
      R"({"verb": "snapshot", "name": "n", "description": "d", "tags": 5})",
      R"({"verb": "snapshot", "name": "n", "description": "d", "tags": {"a": 1}})",
      R"({"verb": "open", "volume": 7})",
      R"({"verb": "open", "volume": "snap-00000000000000001"})",
      R"({"verb": "close", "volume": null})",
      R"({"verb": "snapshot_together", "volumes": {}})",
      R"({"verb": "snapshot_together", "volumes": [7]})",
      R"({"verb": "snapshot_together", "volumes": [{"volume": "vol-00000000000000001"}]})",
      std::string(1 << 20, '['),
      std::string(1 << 20, '{'),
      "{\"verb\": \"\xff\xfe\"}",
      std::string(R"({"a":)") + std::string(50'000, '[') + std::string(50'000, ']') + "}"};
  return lines;
}

TEST(ControlMessages, HostileRequestsAreInvalid) {
  for (const std::string& line : hostile_lines()) {
    const std::string start = line.substr(0, 100);
    EXPECT_TRUE(is(decode_volume_request(line), ErrorCode::kInvalid)) << start;
    EXPECT_TRUE(is(decode_server_request(line), ErrorCode::kInvalid)) << start;
  }
}

TEST(ControlMessages, HostileAnswersAreErrors) {
  std::vector<std::string> lines = hostile_lines();
  for (const char* line : {R"({"error": 7})", R"({"error": {}})", R"({"error": {"code": 1, "message": "m"}})",
                           R"({"snapshot": 5})", R"({"unreadable": [[1]]})"})
    lines.emplace_back(line);
  for (const std::string& line : lines) {
    VolumeState state;
    CaptureReport report;
    ServedAt at;
    for (const Status& got : {decode(line, state), decode(line, report), decode(line, at)})
      EXPECT_TRUE(is(got, ErrorCode::kIo)) << line.substr(0, 100);
  }
}

TEST(ControlMessages, EveryTruncationAndEveryMissingMemberOfAnAnswerIsAnError) {
  const std::string line = encode(VolumeState{});
  for (std::size_t size = 0; size < line.size(); ++size) {
    VolumeState state;
    EXPECT_FALSE(decode(line.substr(0, size), state).ok()) << size;
  }
  const auto body = nlohmann::json::parse(line);
  for (const auto& [key, value] : body.items()) {
    auto less = body;
    less.erase(key);
    VolumeState state;
    EXPECT_FALSE(decode(less.dump(), state).ok()) << key;
  }
  auto more = body;
  more["of_a_later_version"] = 1;
  VolumeState state;
  EXPECT_TRUE(decode(more.dump(), state).ok());
}

TEST(ControlSocket, AnswersLinesUntilItIsDestroyed) {
  const TemporaryDirectory directory;
  EXPECT_FALSE(server_listens(directory.path()));
  EXPECT_TRUE(is(ask(directory.path(), DescribeServer{}), ErrorCode::kNotFound));
  {
    const auto server = ControlSocket::listen(directory.path(), [](const std::string& line) {
                          const auto request = decode_server_request(line);
                          return request.ok() ? encode(ServerState{{}, 7}) : encode_error(request.error());
                        }).take();
    EXPECT_EQ(ask(directory.path(), DescribeServer{}).take().fetched_frames, 7U);
    EXPECT_TRUE(is(ask(directory.path(), DescribeVolume{}), ErrorCode::kIo)) << "an answer of another form";
    EXPECT_NE(ask_line(directory.path(), "burn").take().find("error"), std::string::npos);
  }
  EXPECT_FALSE(server_listens(directory.path()));
}

TEST(ControlSocket, AFolderWithALongNameHasOneToo) {
  const TemporaryDirectory directory;
  const std::string deep = directory / std::string(200, 'x');
  std::filesystem::create_directory(deep);
  const auto server = ControlSocket::listen(deep, [](const std::string& line) { return line + line; }).take();
  EXPECT_EQ(ask_line(deep, "ab").take(), "abab");
}

}  // namespace
}  // namespace ashlar
