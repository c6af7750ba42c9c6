// Tests of the page of metrics, with a strict parser, and of clients of it that misbehave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "serve/metrics_listener.h"
#include "serve/nbd_metrics.h"
#include "server_rig.h"

namespace ashlar {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Family {
  std::string type;
  std::map<std::string, std::uint64_t> samples;  // keyed by the labels in the braces
};

// Parses a page as strictly as the format page demands: HELP, TYPE and samples of a family together, no
// duplicates, no other lines.
std::map<std::string, Family> parse(const std::string& text) {
  static const std::regex help(R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (([^\\\n]|\\\\|\\n)+))");
  static const std::regex type(R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge))");
  static const std::string label = R"([a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\\\|\\n|\\")*")";
  static const std::regex sample("([a-zA-Z_:][a-zA-Z0-9_:]*)(\\{(" + label + "(," + label +
                                 ")*)\\})? ([0-9]+)");
  std::map<std::string, Family> families;
  std::string name;
  bool typed = false;
  std::istringstream lines(text);
  EXPECT_TRUE(text.ends_with('\n'));
  for (std::string line; std::getline(lines, line);) {
    std::smatch found;
    if (std::regex_match(line, found, help)) {
      name = found[1];
      typed = false;
      EXPECT_TRUE(families.emplace(name, Family()).second) << line;
    } else if (std::regex_match(line, found, type)) {
      EXPECT_EQ(found[1], name);
      EXPECT_FALSE(typed);
      typed = true;
      families[name].type = found[2];
      EXPECT_EQ(found[2] == "counter", name.ends_with("_total")) << name;
    } else if (std::regex_match(line, found, sample)) {
      EXPECT_TRUE(typed && found[1] == name) << line;
      EXPECT_TRUE(families[name].samples.emplace(found[3], std::stoull(found.str(found.size() - 1))).second)
          << line;
    } else {
      ADD_FAILURE() << "not a line of the format: " << line;
    }
  }
  return families;
}

class MetricsTest : public testing::Test {
 protected:
  void start(MetricsListener::Page page, MetricsLimits limits = {}) {
    auto made = MetricsListener::start(UnixAddress{path()}, std::move(page), limits);
    ASSERT_TRUE(made.ok()) << made.error().text();
    listener_ = made.take();
  }
  std::string path() const { return directory_ / "metrics"; }
  std::string ask(const std::string& request) const {
    const UniqueFd fd = connected_unix_socket(path());
    ::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
    return std::string(as_text(read_to_end(fd.get())));
  }
  std::string body(const std::string& answer) const { return answer.substr(answer.find("\r\n\r\n") + 4); }

  const TemporaryDirectory directory_;
  std::unique_ptr<MetricsListener> listener_;
};

constexpr const char* kGet = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_F(MetricsTest, LabelsAndHelpAreEscaped) {
  MetricsText text;
  text.family("a_total", MetricsText::Type::kCounter, "back\\slash and\nnew line");
  text.sample(7, {{"name", "a \"b\" \\ \n c"}, {"other", ""}});
  text.sample(18446744073709551615U);
  const std::string page = text.take();
  EXPECT_EQ(page,
            "# HELP a_total back\\\\slash and\\nnew line\n# TYPE a_total counter\n"
            "a_total{name=\"a \\\"b\\\" \\\\ \\n c\",other=\"\"} 7\na_total 18446744073709551615\n");
  EXPECT_EQ(parse(page).at("a_total").samples.size(), 2U);
}

TEST_F(MetricsTest, ThePageTellsWhatTheServerDid) {
  MemoryExports exports;
  exports.add("", std::make_shared<MemoryExport>(kMiB));
  const auto server = must_start(exports, UnixAddress{directory_ / "sock"});
  start([&] {
    MetricsText text;
    add_nbd_metrics(text, *server);
    return text.take();
  });
  NbdClient client(server->address());
  ASSERT_TRUE(client.write(0, random_bytes(5000, 1)));
  client.read(0, 3000);
  ASSERT_TRUE(client.trim(0, 4096));
  const std::string answer = ask(kGet);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: " + std::to_string(body(answer).size()) + "\r\n"));
  std::map<std::string, Family> families = parse(body(answer));
  EXPECT_EQ(families["ashlar_nbd_connections"].type, "gauge");
  EXPECT_EQ(families["ashlar_nbd_connections"].samples[""], 1U);
  EXPECT_EQ(families["ashlar_nbd_requests_total"].samples["kind=\"read\""], 1U);
  EXPECT_EQ(families["ashlar_nbd_requests_total"].samples["kind=\"trim\""], 1U);
  EXPECT_EQ(families["ashlar_nbd_read_bytes_total"].samples[""], 3000U);
  EXPECT_EQ(families["ashlar_nbd_written_bytes_total"].samples[""], 5000U);
  EXPECT_EQ(families.size(), 13U);
}

TEST_F(MetricsTest, EverythingElseIsRefused) {
  start([] { return std::string("x 1\n"); });
  EXPECT_THAT(ask("GET / HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask("GET /metrics2 HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask("GET /../metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask("POST /metrics HTTP/1.1\r\n\r\n"),
              StartsWith("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n"));
  EXPECT_THAT(ask("HEAD /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
  for (const char* bad :
       {"\r\n\r\n", "GET\r\n\r\n", "GET /metrics\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
        "GET /metrics HTTP/2\r\n\r\n", "GET /metrics x HTTP/1.1\r\n\r\n", " /metrics HTTP/1.1\r\n\r\n"}) {
    EXPECT_THAT(ask(bad), StartsWith("HTTP/1.1 400 ")) << bad;
  }
  EXPECT_THAT(ask("GET /metrics?x=1 HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(ask("GET /" + std::string(9000, 'a')), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask(kGet), StartsWith("HTTP/1.1 200 "));
}

TEST_F(MetricsTest, SlowAndSilentClientsAreLetGoAndHoldNobodyUp) {
  MetricsLimits limits;
  limits.seconds = 0.4;
  limits.connections = 4;
  start([] { return std::string("x 1\n"); }, limits);
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 3; ++i) silent.push_back(connected_unix_socket(path()));
  EXPECT_THAT(ask(kGet), StartsWith("HTTP/1.1 200 ")) << "beside those who say nothing";
  const UniqueFd slow = connected_unix_socket(path());
  const auto begin = std::chrono::steady_clock::now();
  while (::send(slow.get(), "G", 1, MSG_NOSIGNAL) == 1) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  }
  for (const UniqueFd& fd : silent) EXPECT_TRUE(read_to_end(fd.get()).empty());
  for (int i = 0; i < 20; ++i) silent.push_back(connected_unix_socket(path()));
  EXPECT_THAT(ask(kGet), StartsWith("HTTP/1.1 200 ")) << "when its turn comes";
  listener_.reset();
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(MetricsTest, AClientThatDoesNotTakeThePageIsLetGo) {
  MetricsLimits limits;
  limits.seconds = 0.3;
  start([] { return std::string(32 * kMiB, '\n'); }, limits);
  const UniqueFd fd = connected_unix_socket(path());
  ::send(fd.get(), kGet, std::strlen(kGet), MSG_NOSIGNAL);
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  EXPECT_LT(read_to_end(fd.get()).size(), 32 * kMiB);
}

TEST_F(MetricsTest, OnlyTheLoopbackIsListenedOn) {
  const auto page = [] { return std::string(); };
  const auto open_to_all = MetricsListener::start(TcpAddress{"0.0.0.0", 0}, page);
  ASSERT_FALSE(open_to_all.ok());
  EXPECT_EQ(open_to_all.error().code(), ErrorCode::kInvalid);
  const auto loopback = MetricsListener::start(TcpAddress{"127.0.0.1", 0}, page);
  ASSERT_TRUE(loopback.ok());
  EXPECT_THAT(loopback.value()->address(), testing::MatchesRegex("http://127.0.0.1:[0-9]+/metrics"));
}

}  // namespace
}  // namespace ashlar
