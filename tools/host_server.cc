#include "host_server.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/clock.h"
#include "control.h"
#include "io/file_system.h"
#include "process/background_process.h"
#include "program/output.h"

namespace ashlar {
namespace {

constexpr double kStartSeconds = 60;
constexpr double kOtherSeconds = 2;
constexpr double kPauseSeconds = 0.02;
constexpr auto kPause = std::chrono::milliseconds(20);
constexpr std::size_t kMaxSocketPath = 107;

Json request(const char* verb, VolumeId volume) { return {{"verb", verb}, {"volume", volume.text()}}; }

bool is_nobody(const Error& error) { return error.code() == ErrorCode::kNotFound; }

Result<std::uint64_t> size_or_zero(const std::string& path) {
  auto size = posix_file_system().file_size(path);
  if (!size.ok() && is_nobody(size.error())) return std::uint64_t{0};
  return size;
}

}  // namespace

HostServer::HostServer(const Repo& repo)
    : store_(std::filesystem::absolute(repo.address().directory).lexically_normal()),
      overlays_(std::filesystem::absolute(repo.host().overlays()).lexically_normal()),
      // Relative to the server's working directory where the whole path has no room in an address.
      socket_(overlays_.size() + sizeof("/nbd.sock") <= kMaxSocketPath ? overlays_ + "/nbd.sock"
                                                                       : "nbd.sock") {}

std::string HostServer::command_text() const {
  return fmt::format("ashlar serve --store '{}' --all --socket '{}'", store_, socket_);
}

Result<std::optional<NbdExport>> HostServer::open_if_running(VolumeId volume) {
  if (!server_listens(overlays_)) return std::optional<NbdExport>();
  const Json said = TRY(ask_server(overlays_, request("open", volume)));
  NbdExport at = TRY(parse_nbd_export(said.value("address", "")));
  if (!at.socket.starts_with('/')) at.socket = overlays_ + "/" + at.socket;
  return std::optional(std::move(at));
}

Result<NbdExport> HostServer::open(VolumeId volume) {
  if (auto at = TRY(open_if_running(volume))) return *std::move(at);
  TRY(start());
  if (auto at = TRY(open_if_running(volume))) return *std::move(at);
  return Error(ErrorCode::kIo, fmt::format("the server has ended; see {}/serve.log", overlays_));
}

// Of two that are started at the same moment, one ends again: the other answers.
Status HostServer::start() {
  const std::string log = overlays_ + "/serve.log";
  const std::uint64_t log_bytes = TRY(size_or_zero(log));
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  WaitingChild child = TRY(
      WaitingChild::fork({{self, "serve", "--store", store_, "--all", "--socket", socket_}, overlays_, log}));
  const RunningProcess process = TRY(RunningProcess::find(child.process()));
  TRY(child.let_go());
  double deadline = monotonic_seconds() + kStartSeconds;
  bool has_ended = false;
  while (!server_listens(overlays_)) {
    // Another one that is being started at the same time may be the one that comes up.
    if (!has_ended && process.wait(kPauseSeconds)) {
      has_ended = true;
      deadline = monotonic_seconds() + kOtherSeconds;
    }
    if (has_ended) std::this_thread::sleep_for(kPause);
    if (monotonic_seconds() <= deadline) continue;
    if (has_ended) return Error(ErrorCode::kIo, "the server did not start: " + last_line(log, log_bytes));
    return busy("the server does not answer; see " + log);
  }
  if (has_ended) return {};
  print_note(fmt::format("started a server for the volumes of this store: process {}, log {}",
                         child.process().pid, log));
  return {};
}

Status HostServer::snapshot_together(const std::vector<Wanted>& wanted) {
  Json volumes = Json::array();
  for (const Wanted& one : wanted) {
    volumes.push_back({{"volume", one.volume.text()},
                       {"snapshot", one.snapshot.text()},
                       {"name", one.name},
                       {"description", one.description}});
  }
  TRY(ask_server(overlays_, {{"verb", "snapshot_together"}, {"volumes", volumes}}));
  return {};
}

Status HostServer::close(VolumeId volume) {
  if (!server_listens(overlays_)) return {};
  auto closed = ask_server(overlays_, request("close", volume));
  if (closed.ok() || is_nobody(closed.error())) return {};
  return closed.take_error();
}

}  // namespace ashlar
