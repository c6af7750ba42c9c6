#include "host/volume_server.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/clock.h"
#include "io/file_system.h"
#include "process/background_process.h"

namespace ashlar {
namespace {

constexpr double kStartSeconds = 60;
constexpr double kOtherSeconds = 2;
constexpr double kPauseSeconds = 0.02;
constexpr auto kPause = std::chrono::milliseconds(20);
constexpr std::size_t kMaxSocketPath = 107;
constexpr std::string_view kSocketName = "nbd.sock";

std::string absolute(const std::string& path) { return std::filesystem::absolute(path).lexically_normal(); }

// A path that is too long for the address of a socket is given relative to the server's working directory.
// The server announces the absolute path all the same.
std::string socket_in(const std::string& overlays) {
  const std::string whole = fmt::format("{}/{}", overlays, kSocketName);
  return whole.size() <= kMaxSocketPath ? whole : std::string(kSocketName);
}

Result<std::uint64_t> size_or_zero(const std::string& path) {
  auto size = posix_file_system().file_size(path);
  if (is(size, ErrorCode::kNotFound)) return std::uint64_t{0};
  return size;
}

}  // namespace

VolumeServer::VolumeServer(const Repo& repo, Notices& notices, ServerCommand command)
    : notices_(notices),
      command_(std::move(command)),
      store_(absolute(repo.address().directory)),
      overlays_(absolute(repo.host().overlays())),
      socket_(socket_in(overlays_)) {}

Result<std::optional<NbdExport>> VolumeServer::open_if_running(VolumeId volume) {
  if (!server_listens(overlays_)) return std::optional<NbdExport>();
  const ServedAt served = TRY(ask(overlays_, OpenVolume{volume}));
  return std::optional(TRY(parse_nbd_export(served.address)));
}

Result<NbdExport> VolumeServer::open(VolumeId volume) {
  if (auto at = TRY(open_if_running(volume))) return *std::move(at);
  TRY(start());
  if (auto at = TRY(open_if_running(volume))) return *std::move(at);
  return Error(ErrorCode::kIo, fmt::format("the server has ended; see {}/serve.log", overlays_));
}

// When two servers start at once, one finds the other's lock and exits; the other one answers.
Status VolumeServer::start() {
  const std::string log = overlays_ + "/serve.log";
  const std::uint64_t log_bytes = TRY(size_or_zero(log));
  WaitingChild child = TRY(WaitingChild::fork({command(), overlays_, log}));
  const RunningProcess process = TRY(RunningProcess::find(child.process()));
  TRY(child.let_go());
  double deadline = monotonic_seconds() + kStartSeconds;
  bool has_ended = false;
  while (!server_listens(overlays_)) {
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
  notices_.note(fmt::format("started a server for the volumes of this store: process {}, log {}",
                            child.process().pid, log));
  return {};
}

Status VolumeServer::snapshot_together(const SnapshotTogether& wanted) {
  TRY(ask(overlays_, wanted));
  return {};
}

Status VolumeServer::close(VolumeId volume) {
  const auto closed = ask(overlays_, CloseVolume{volume});
  if (closed.ok() || is(closed, ErrorCode::kNotFound)) return {};
  return closed.error();
}

}  // namespace ashlar
