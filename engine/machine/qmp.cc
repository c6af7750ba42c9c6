#include "machine/qmp.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "machine/command_line.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20U;

Status wait_for(int fd, short events, double deadline) {
  while (true) {
    const double left = std::max(0.0, deadline - monotonic_seconds());
    pollfd ready{fd, events, 0};
    const int got = ::poll(&ready, 1, static_cast<int>(left * 1000) + 1);
    if (got > 0) return {};
    if (got < 0 && errno != EINTR) return last_errno("QMP: poll");
    if (monotonic_seconds() >= deadline) return busy("QEMU's monitor does not answer");
  }
}

Result<Json> object_of(const std::string& line) {
  Json parsed = Json::parse(line, nullptr, false);
  if (!parsed.is_object()) return Error(ErrorCode::kIo, "QMP: what QEMU says is not a JSON object");
  return parsed;
}

}  // namespace

Result<std::unique_ptr<Qmp>> Qmp::connect(const std::string& directory, double seconds) {
  // The path through /proc is short even when the directory's path is long.
  const UniqueFd at(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid()) return last_errno(directory);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", at.get(), kQmpSocketName);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  std::unique_ptr<Qmp> qmp(new Qmp);
  qmp->fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!qmp->fd_.valid()) return last_errno("QMP: socket");
  if (::connect(qmp->fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    // EAGAIN means that the queue of clients waiting for this monitor is full.
    if (errno == EAGAIN) return busy("QEMU's monitor does not answer");
    return not_found("no QEMU listens on " + directory + "/" + kQmpSocketName);
  }
  TRY(qmp->greet(monotonic_seconds() + seconds));
  return qmp;
}

Status Qmp::greet(double deadline) {
  const Json greeting = TRY(object_of(TRY(line(deadline))));
  if (!greeting.contains("QMP")) return Error(ErrorCode::kIo, "QMP: QEMU does not greet");
  TRY(ask("qmp_capabilities", deadline - monotonic_seconds()));
  return {};
}

Result<std::string> Qmp::status(double seconds) {
  const Json answer = TRY(object_of(TRY(ask("query-status", seconds))));
  const Json result = answer.value("return", Json::object());
  if (!result.is_object() || !result.contains("status") || !result["status"].is_string())
    return Error(ErrorCode::kIo, "QMP: no status in QEMU's answer");
  return result["status"].get<std::string>();
}

Status Qmp::command(const char* name, double seconds) {
  TRY(ask(name, seconds));
  return {};
}

// Sends a command and returns the line of its answer.
Result<std::string> Qmp::ask(const char* name, double seconds) {
  const double deadline = monotonic_seconds() + seconds;
  TRY(send(Json{{"execute", name}}.dump() + "\n", deadline));
  while (true) {
    std::string text = TRY(line(deadline));
    const Json answer = TRY(object_of(text));
    if (answer.contains("return")) return text;
    if (!answer.contains("error")) continue;  // an event
    const Json& error = answer["error"];
    const std::string said = error.is_object() ? error.value("desc", "no reason") : std::string("no reason");
    return Error(ErrorCode::kIo, fmt::format("QEMU refuses {}: {}", name, said));
  }
}

Result<std::string> Qmp::line(double deadline) {
  while (true) {
    const std::size_t end = received_.find('\n');
    if (end != std::string::npos) {
      std::string text = received_.substr(0, end);
      received_.erase(0, end + 1);
      return text;
    }
    if (received_.size() > kMaxLineBytes) return Error(ErrorCode::kIo, "QMP: QEMU's line does not end");
    TRY(wait_for(fd_.get(), POLLIN, deadline));
    std::array<char, 4096> part{};
    const ssize_t got = ::recv(fd_.get(), part.data(), part.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0) return last_errno("QMP: recv");
    if (got == 0) return Error(ErrorCode::kIo, "QMP: QEMU has ended");
    received_.append(part.data(), static_cast<std::size_t>(got));
  }
}

Status Qmp::send(const std::string& text, double deadline) {
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t done = ::send(fd_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (done > 0) {
      sent += static_cast<std::size_t>(done);
    } else if (done < 0 && errno == EAGAIN) {
      TRY(wait_for(fd_.get(), POLLOUT, deadline));
    } else if (done < 0 && errno != EINTR) {
      return last_errno("QMP: send");
    }
  }
  return {};
}

}  // namespace ashlar
