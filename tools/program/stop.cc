#include "program/stop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>

#include "program/exit_code.h"

namespace ashlar {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  // Under nohup it stays ignored: a blocked signal reaches a signalfd all the same.
  struct sigaction hangup {};
  if (::sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN) sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

Stop::Stop() {
  const sigset_t set = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Status Stop::watch() {
  const sigset_t set = stop_signals();
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC));
  end_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!signals_.valid() || !end_.valid()) return last_errno("watching for signals");
  thread_ = std::jthread([this] { wait_for_signals(); });
  return {};
}

void Stop::wait_for_signals() {
  for (;;) {
    std::array<pollfd, 2> waiting = {{{signals_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0) continue;
    if (waiting[1].revents != 0) return;
    signalfd_siginfo signal{};
    if (::read(signals_.get(), &signal, sizeof signal) != sizeof signal) continue;
    // A terminal that goes may send it twice, once by its shell.
    const bool is_of_a_person = signal.ssi_signo != SIGHUP;
    if (stop_.stop_requested() && is_of_a_person) ::_exit(static_cast<int>(ExitCode::kFailed));
    stop_.request_stop();
  }
}

Stop::~Stop() {
  if (thread_.joinable()) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(end_.get(), &one, sizeof one);
    thread_.join();
  }
}

}  // namespace ashlar
