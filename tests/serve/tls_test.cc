// Tests of TLS, with the clients that people use and with clients that break the protocol.
#include <gtest/gtest.h>

#include "tls_rig.h"

namespace ashlar {
namespace {

using namespace std::chrono_literals;

class TlsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (const char* program : {"certtool", "psktool"}) {
      if (run_command(std::string("command -v ") + program).status != 0) return;
    }
    files_ = std::make_unique<TlsFiles>();
  }
  static void TearDownTestSuite() { files_.reset(); }
  void SetUp() override {
    if (!files_) GTEST_SKIP() << "needs certtool and psktool";
    exports_.add("", disk_);
  }

  void start(Result<std::shared_ptr<const TlsCredentials>> credentials, NbdLimits limits = {}) {
    ASSERT_TRUE(credentials.ok()) << credentials.error().text();
    server_ = must_start(exports_, TcpAddress{"127.0.0.1", 0}, limits, credentials.take());
    port_ = server_->address().substr(server_->address().rfind(':') + 1);
  }
  void start_with_certificates() { start(TlsCredentials::from_certificates(*files_ / "server")); }
  void start_with_psk(NbdLimits limits = {}) {
    start(TlsCredentials::from_psk_file(*files_ / "keys.psk"), limits);
  }
  void start_plain() {
    server_ = must_start(exports_, TcpAddress{"127.0.0.1", 0});
    port_ = server_->address().substr(server_->address().rfind(':') + 1);
  }

  // Connects, and returns the error of libnbd, or "" on success.
  std::string attempt(nbd_handle* handle) {
    const bool in = nbd_connect_tcp(handle, "localhost", port_.c_str()) == 0;
    return in ? "" : nbd_get_error();
  }
  struct Close {
    void operator()(nbd_handle* handle) const { nbd_close(handle); }
  };
  using Handle = std::unique_ptr<nbd_handle, Close>;
  static Handle with_certificates(const std::string& directory) {
    Handle handle(nbd_create());
    nbd_set_tls(handle.get(), LIBNBD_TLS_REQUIRE);
    nbd_set_tls_certificates(handle.get(), (*files_ / directory).c_str());
    return handle;
  }
  static Handle with_psk(const std::string& file) {
    Handle handle(nbd_create());
    nbd_set_tls(handle.get(), LIBNBD_TLS_REQUIRE);
    nbd_set_tls_psk_file(handle.get(), (*files_ / file).c_str());
    nbd_set_tls_username(handle.get(), file == "unknown.psk" ? "mallory" : "alice");
    return handle;
  }

  static void round_trip(nbd_handle* handle) {
    for (const std::size_t size : {1UL, 4096UL, 16'383UL, 16'384UL, 16'385UL, 100'000UL, 32UL << 20U}) {
      const ByteVector bytes = random_bytes(size, size);
      ByteVector back(size);
      ASSERT_EQ(nbd_pwrite(handle, bytes.data(), size, 777, 0), 0) << nbd_get_error();
      ASSERT_EQ(nbd_pread(handle, back.data(), size, 777, 0), 0) << nbd_get_error();
      ASSERT_TRUE(back == bytes) << size;
    }
  }

  UniqueFd connect() const {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(port_)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  // Returns a raw connection that has sent STARTTLS and, in the same packet, `more`.
  UniqueFd after_starttls(const ByteVector& more = {}) const {
    UniqueFd fd = connect();
    ByteVector bytes = nbd_client_flags();
    const ByteVector option = nbd_option(nbd::Option::kStartTls);
    bytes.insert(bytes.end(), option.begin(), option.end());
    bytes.insert(bytes.end(), more.begin(), more.end());
    EXPECT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    return fd;
  }
  RawTlsClient raw_client(const char* versions = "+VERS-TLS1.3") const {
    return RawTlsClient(connect(), *files_ / "keys.psk", versions);
  }
  // Brings the client into the transmission phase.
  static void enter(RawTlsClient& client) {
    ASSERT_TRUE(client.start_tls());
    client.send(nbd_option(nbd::Option::kGo, nbd_info_data("")));
    ASSERT_EQ(client.receive(20 + 12 + 20 + 14 + 20).size(), 86U);
  }

  static std::unique_ptr<TlsFiles> files_;
  std::shared_ptr<MemoryExport> disk_ = std::make_shared<MemoryExport>(64 * kMiB);
  MemoryExports exports_;
  std::unique_ptr<NbdServer> server_;
  std::string port_;
};

std::unique_ptr<TlsFiles> TlsTest::files_;

TEST_F(TlsTest, AClientWithTheRightCertificateIsServed) {
  start_with_certificates();
  const Handle client = with_certificates("client");
  ASSERT_EQ(attempt(client.get()), "");
  EXPECT_EQ(nbd_get_tls_negotiated(client.get()), 1);
  round_trip(client.get());
}

TEST_F(TlsTest, AClientWithTheRightKeyIsServed) {
  start_with_psk();
  const Handle client = with_psk("keys.psk");
  ASSERT_EQ(attempt(client.get()), "");
  round_trip(client.get());
}

TEST_F(TlsTest, ClientsThatCannotProveThemselvesAreRefused) {
  start_with_certificates();
  for (const char* directory : {"bare", "other", "wrong_use"}) {
    const Handle client = with_certificates(directory);
    ByteVector out(512);
    // Under TLS 1.3 a client believes that it is connected until it hears of the refusal, so a read is tried
    // too.
    EXPECT_NE(attempt(client.get()), "") << directory;
    EXPECT_NE(nbd_pread(client.get(), out.data(), out.size(), 0, 0), 0) << directory;
  }
  EXPECT_TRUE(eventually([&] { return server_->counters().tls_failures == 3; }));
  const Handle good = with_certificates("client");
  EXPECT_EQ(attempt(good.get()), "") << "the server goes on";
}

TEST_F(TlsTest, WrongAndUnknownKeysAreRefused) {
  start_with_psk();
  for (const char* file : {"wrong.psk", "unknown.psk"}) EXPECT_NE(attempt(with_psk(file).get()), "") << file;
  EXPECT_NE(attempt(with_certificates("client").get()), "");
  EXPECT_EQ(server_->counters().tls_failures, 3U);
}

TEST_F(TlsTest, AServerOfAnotherAuthorityIsRefusedByItsClient) {
  files_->sh("cp -r D/client D/misled && cp D/ca2-cert.pem D/misled/ca-cert.pem");
  start_with_certificates();
  const std::string error = attempt(with_certificates("misled").get());
  EXPECT_NE(error.find("ertificate"), std::string::npos) << error;
}

TEST_F(TlsTest, ARevokedCertificateIsRefused) {
  files_->sh("cp -rp D/server D/revoking");
  files_->sh("printf 'crl_number = 1\\n' > D/crl.info");
  files_->sh(
      "certtool --generate-crl --load-ca-privkey D/ca-key.pem --load-ca-certificate D/ca-cert.pem "
      "--load-certificate D/client/client-cert.pem --template D/crl.info --outfile D/revoking/ca-crl.pem");
  start(TlsCredentials::from_certificates(*files_ / "revoking"));
  EXPECT_NE(attempt(with_certificates("client").get()), "");
}

TEST_F(TlsTest, WithoutAnAuthorityAnyClientMayCome) {
  files_->sh("cp -rp D/server D/open && rm D/open/ca-cert.pem");
  start(TlsCredentials::from_certificates(*files_ / "open"));
  const Handle client = with_certificates("bare");
  ASSERT_EQ(attempt(client.get()), "");
  round_trip(client.get());
}

TEST_F(TlsTest, APlaintextClientIsToldThatTlsIsRequired) {
  start_with_psk();
  const Handle plain(nbd_create());
  const std::string error = attempt(plain.get());
  EXPECT_NE(error.find("TLS"), std::string::npos) << error;
  const Outcome info = run_command("qemu-img info nbd://127.0.0.1:" + port_);
  EXPECT_NE(info.status, 0);
  EXPECT_NE(info.text.find("TLS"), std::string::npos) << info.text;
  const Outcome list = run_command("nbdinfo --list nbd://127.0.0.1:" + port_);
  EXPECT_NE(list.status, 0) << "names of exports are not for everybody";
}

TEST_F(TlsTest, ATlsClientIsRefusedWhereTlsIsOff) {
  start_plain();
  EXPECT_NE(attempt(with_psk("keys.psk").get()), "");
  EXPECT_NE(attempt(with_certificates("client").get()), "");
  EXPECT_EQ(attempt(Handle(nbd_create()).get()), "");
}

TEST_F(TlsTest, TheProgramsOfQemuAndLibnbdWorkOverTls) {
  start_with_psk();
  const ByteVector bytes = random_bytes(32 * kMiB, 5);
  const TemporaryDirectory scratch;
  std::ofstream(scratch / "image").write(reinterpret_cast<const char*>(bytes.data()), 32 * kMiB);
  disk_ = std::make_shared<MemoryExport>(32 * kMiB);
  exports_.add("", disk_);
  const std::string tls =
      " --object tls-creds-psk,id=t,endpoint=client,username=alice,dir=" + (*files_ / "psk") + " ";
  const std::string target = "driver=nbd,host=127.0.0.1,port=" + port_ + ",tls-creds=t";
  Outcome done = run_command("qemu-img convert" + tls + "-n -W -m 16 --target-image-opts -f raw " +
                             (scratch / "image") + " " + target);
  ASSERT_EQ(done.status, 0) << done.text;
  done = run_command("qemu-img compare" + tls +
                     "--image-opts driver=raw,file.filename=" + (scratch / "image") + " " + target);
  EXPECT_EQ(done.status, 0) << done.text;
  const std::string uri =
      "'nbds://alice@127.0.0.1:" + port_ + "/?tls-psk-file=" + (*files_ / "keys.psk") + "'";
  done = run_command("nbdinfo " + uri);
  EXPECT_EQ(done.status, 0) << done.text;
  EXPECT_NE(done.text.find("export-size: 33554432"), std::string::npos) << done.text;
  done = run_command("nbdcopy " + uri + " " + (scratch / "back") + " && cmp " + (scratch / "image") + " " +
                     (scratch / "back"));
  EXPECT_EQ(done.status, 0) << done.text;
}

TEST_F(TlsTest, QemuWithCertificates) {
  start_with_certificates();
  const auto info = [&](const std::string& directory) {
    return run_command(
        "qemu-img info --object tls-creds-x509,id=t,endpoint=client,dir=" + (*files_ / directory) +
        " --image-opts driver=nbd,host=localhost,port=" + port_ + ",tls-creds=t");
  };
  const Outcome good = info("client");
  EXPECT_EQ(good.status, 0) << good.text;
  EXPECT_NE(info("bare").status, 0);
}

TEST_F(TlsTest, WhatIsSaidInPlainBehindStarttlsEndsTheConnection) {
  start_with_psk();
  for (const ByteVector& more : {nbd_option(nbd::Option::kStartTls), nbd_option(nbd::Option::kList),
                                 ByteVector(1), ByteVector(5000, std::byte{0x16})}) {
    const UniqueFd fd = after_starttls(more);
    EXPECT_EQ(read_to_end(fd.get()).size(), 18U) << "not even an answer";
  }
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 0; }));
}

TEST_F(TlsTest, GarbageInsteadOfAHandshakeEndsTheConnection) {
  start_with_psk();
  for (const std::size_t size : {1UL, 5UL, 100UL, 70'000UL}) {
    const UniqueFd fd = after_starttls();
    std::array<std::byte, 38> answer{};
    ASSERT_EQ(::recv(fd.get(), answer.data(), 18, MSG_WAITALL), 18);
    ASSERT_EQ(::recv(fd.get(), answer.data(), 20, MSG_WAITALL), 20);
    const ByteVector noise = random_bytes(size, size);
    ::send(fd.get(), noise.data(), noise.size(), MSG_NOSIGNAL);
    if (size < 5) ::shutdown(fd.get(), SHUT_WR);
    EXPECT_LT(read_to_end(fd.get()).size(), 100U) << "an alert at most";
  }
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 0; }));
  EXPECT_EQ(server_->counters().tls_failures, 4U);
}

TEST_F(TlsTest, HalfAHandshakeDoesNotLastForEver) {
  NbdLimits limits;
  limits.handshake_seconds = 0.3;
  start_with_psk(limits);
  const UniqueFd silent = after_starttls();
  const UniqueFd half = after_starttls();
  std::this_thread::sleep_for(50ms);
  const ByteVector head{std::byte{0x16}, std::byte{3}, std::byte{1},
                        std::byte{1},    std::byte{0}, std::byte{1}};
  ::send(half.get(), head.data(), head.size(), MSG_NOSIGNAL);
  RawTlsClient quiet = raw_client();
  ASSERT_TRUE(quiet.start_tls());
  EXPECT_EQ(read_to_end(silent.get()).size(), 38U);
  EXPECT_EQ(read_to_end(half.get()).size(), 38U);
  EXPECT_EQ(quiet.receive(1).size(), 0U) << "options count, too";
  EXPECT_EQ(server_->counters().handshakes_timed_out, 3U);
}

TEST_F(TlsTest, AHandshakeOfTooManyBytesIsEnded) {
  NbdLimits limits;
  limits.handshake_bytes = 10'000;
  start_with_psk(limits);
  RawTlsClient client = raw_client();
  ASSERT_TRUE(client.start_tls());
  // Each record carries an unknown option of 116 bytes: fewer than 100 of them fit into the limit, so the
  // server answers fewer than 100 (20 bytes each).
  const ByteVector byte = nbd_option(77U, ByteVector(100));
  for (int i = 0; i < 200; ++i) {
    if (gnutls_record_send(client.session(), byte.data(), byte.size()) < 0) break;
  }
  EXPECT_LT(client.receive(100'000).size(), 100U * 20);
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 0; }));
}

TEST_F(TlsTest, StarttlsForTheSecondTimeIsInvalidAndTheRestGoesOn) {
  start_with_psk();
  RawTlsClient client = raw_client();
  ASSERT_TRUE(client.start_tls());
  client.send(nbd_option(nbd::Option::kStartTls));
  const ByteVector reply = client.receive(20);
  ASSERT_EQ(reply.size(), 20U);
  EXPECT_EQ(load_big_endian<std::uint32_t>(ByteSpan(reply).subspan(12)), 0x80000003U);
  client.send(nbd_option(nbd::Option::kGo, nbd_info_data("")));
  EXPECT_EQ(client.receive(86).size(), 86U);
}

TEST_F(TlsTest, KeysAreChangedOnTheWay) {
  start_with_psk();
  RawTlsClient client = raw_client();
  enter(client);
  for (std::uint64_t i = 0; i < 6; ++i) {
    client.send(nbd_request(nbd::Command::kRead, i, 0, 100'000));
    ASSERT_EQ(gnutls_session_key_update(client.session(), GNUTLS_KU_PEER), 0);
    client.send(nbd_request(nbd::Command::kRead, i, 0, 4096));
    ASSERT_EQ(client.receive(16 + 100'000 + 16 + 4096).size(), 104'128U);
  }
}

TEST_F(TlsTest, OlderTlsWorksAndDoesNotRenegotiate) {
  start_with_psk();
  RawTlsClient client = raw_client("+VERS-TLS1.2");
  enter(client);
  client.send(nbd_request(nbd::Command::kRead, 1, 0, 50'000));
  EXPECT_EQ(client.receive(50'016).size(), 50'016U);
  EXPECT_FALSE(client.handshake());
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 0; }));
  RawTlsClient oldest = raw_client("+VERS-TLS1.1");
  EXPECT_FALSE(oldest.start_tls());
}

TEST_F(TlsTest, AnOrderlyEndIsAnsweredWithOne) {
  start_with_psk();
  disk_->hold(0, kMiB);
  RawTlsClient client = raw_client();
  enter(client);
  client.send(nbd_request(nbd::Command::kRead, 1, 0, 4096));
  gnutls_bye(client.session(), GNUTLS_SHUT_WR);
  EXPECT_TRUE(eventually([&] { return disk_->waiting() == 1; }));
  disk_->release();
  EXPECT_EQ(client.receive(100'000).size(), 4112U) << "what was asked before the goodbye is answered";
  EXPECT_TRUE(client.told_goodbye());
}

// If this counted as a regular end, an attacker who cuts the connection could choose where a client's stream
// of requests ends.
TEST_F(TlsTest, AnEndWithoutGoodbyeIsALostConnection) {
  start_with_psk();
  disk_->hold(0, kMiB);
  RawTlsClient client = raw_client();
  enter(client);
  client.send(nbd_request(nbd::Command::kRead, 1, 0, 4096));
  EXPECT_TRUE(eventually([&] { return disk_->waiting() == 1; }));
  client.vanish();
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(server_->counters().connections_open, 1U) << "its request is in the export";
  disk_->release();
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 0; }));
  EXPECT_EQ(server_->counters().tls_failures, 1U);
}

TEST_F(TlsTest, AServerThatStopsSaysGoodbye) {
  start_with_psk();
  RawTlsClient client = raw_client();
  enter(client);
  std::thread stopping([&] { server_->stop(); });
  EXPECT_TRUE(client.receive(1).empty());
  EXPECT_TRUE(client.told_goodbye());
  stopping.join();
}

TEST_F(TlsTest, AClientThatTakesNoRepliesIsHeldAtTheLimit) {
  NbdLimits limits;
  limits.outstanding_bytes = 4 * kMiB;
  start_with_psk(limits);
  RawTlsClient greedy = raw_client();
  enter(greedy);
  for (std::uint64_t i = 0; i < 100; ++i) greedy.send(nbd_request(nbd::Command::kRead, i, 0, kMiB));
  EXPECT_TRUE(eventually([&] { return server_->counters().reads >= 4; }));
  std::this_thread::sleep_for(200ms);
  // The buffers of loopback sockets hold some megabytes besides the 4 MiB of the limit.
  EXPECT_LE(server_->counters().reads, 16U);
  EXPECT_EQ(greedy.receive(100 * (kMiB + 16)).size(), 100 * (kMiB + 16))
      << "and goes on when it does take them";
}

TEST_F(TlsTest, AThousandIdleHandshakes) {
  NbdLimits limits;
  limits.handshake_seconds = 2;
  start_with_psk(limits);
  allow_open_files(2500);
  const std::size_t memory = resident_bytes();
  std::vector<UniqueFd> idle;
  for (int i = 0; i < 1000; ++i) {
    UniqueFd fd = connect();
    const ByteVector flags = nbd_client_flags();
    const ByteVector option = nbd_option(nbd::Option::kStartTls);
    ::send(fd.get(), flags.data(), flags.size(), MSG_NOSIGNAL);
    ::send(fd.get(), option.data(), option.size(), MSG_NOSIGNAL);
    idle.push_back(std::move(fd));
  }
  EXPECT_TRUE(eventually([&] {
    return server_->counters().connections_refused + server_->counters().connections_accepted == 1000;
  }));
  EXPECT_LT(resident_bytes(), memory + 64 * kMiB);
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 0; }));
  EXPECT_EQ(attempt(with_psk("keys.psk").get()), "");
}

TEST_F(TlsTest, WhatIsWrongWithTheFilesIsSaidInOneLine) {
  const auto error_of = [](Result<std::shared_ptr<const TlsCredentials>> made) {
    const std::string text = made.ok() ? "none" : made.error().text();
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    return text;
  };
  using testing::HasSubstr;
  const TlsFiles& files = *files_;
  EXPECT_THAT(error_of(TlsCredentials::from_certificates(files / "nowhere")),
              HasSubstr("nowhere/server-cert.pem: No such file"));
  files.sh("cp -rp D/server D/lax && chmod 644 D/lax/server-key.pem");
  EXPECT_THAT(
      error_of(TlsCredentials::from_certificates(files / "lax")),
      HasSubstr(
          "lax/server-key.pem: has mode 0644, so that other users can read the key: run 'chmod 600' on it"));
  files.sh("cp -rp D/server D/mixed && cp D/client/client-key.pem D/mixed/server-key.pem");
  EXPECT_THAT(error_of(TlsCredentials::from_certificates(files / "mixed")), HasSubstr("do not match"));
  files.sh("cp -rp D/server D/damaged && echo nonsense > D/damaged/ca-cert.pem");
  EXPECT_THAT(error_of(TlsCredentials::from_certificates(files / "damaged")),
              HasSubstr("damaged/ca-cert.pem"));
  const auto psk_error = [&](const std::string& lines) {
    std::ofstream(files / "bad.psk") << lines;
    files.sh("chmod 600 D/bad.psk");
    return error_of(TlsCredentials::from_psk_file(files / "bad.psk"));
  };
  const std::string key = "00112233445566778899aabbccddeeff";
  EXPECT_THAT(psk_error(""), HasSubstr("holds no key"));
  EXPECT_THAT(psk_error("bob:" + key + "\nalice\n"), HasSubstr("line 2: is not of the form NAME:HEXKEY"));
  EXPECT_THAT(psk_error("bob:" + key + "zz\n"), HasSubstr("line 1: the key is not hexadecimal"));
  EXPECT_THAT(psk_error("bob:0011\n"), HasSubstr("the key has 2 bytes, not 16 to 512"));
  EXPECT_THAT(psk_error("bob:" + key + "\nbob:" + key + "\n"),
              HasSubstr("line 2: names a client that an earlier line names"));
  EXPECT_THAT(psk_error("bob:" + key + "\r\n\n"), "none");
  files.sh("chmod 640 D/bad.psk");
  EXPECT_THAT(error_of(TlsCredentials::from_psk_file(files / "bad.psk")), "none") << "a group may be trusted";
  files.sh("chmod 604 D/bad.psk");
  EXPECT_THAT(error_of(TlsCredentials::from_psk_file(files / "bad.psk")), HasSubstr("chmod 600"));
}

}  // namespace
}  // namespace ashlar
