#include "serve/nbd_server.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>

namespace ashlar {
namespace {

constexpr unsigned kMostLoops = 4;

std::size_t default_loops() { return std::clamp(std::thread::hardware_concurrency(), 1U, kMostLoops); }

}  // namespace

Result<std::unique_ptr<NbdServer>> NbdServer::start(ExportList& exports, ListenAddress address,
                                                    NbdServerOptions options) {
  NbdListener listener = TRY(NbdListener::open(std::move(address)));
  std::unique_ptr<NbdServer> server(new NbdServer(std::move(listener), options.limits));
  const std::string_view uri = server->listener_.uri();
  server->address_ =
      fmt::format("nbd{}{}", options.tls ? "s" : "", uri.substr(std::string_view("nbd").size()));
  const std::size_t count = options.loops == 0 ? default_loops() : options.loops;
  for (std::size_t i = 0; i < count; ++i)
    server->loops_.push_back(TRY(NbdLoop::make(exports, server->limits_, server->budget_, options.tls)));
  server->loops_.front()->accept_from(
      server->listener_, [self = server.get()](UniqueFd client) { return self->admit(std::move(client)); });
  for (std::size_t i = 0; i < count; ++i) {
    server->threads_.emplace_back([i, loop = server->loops_[i].get()] {
      ::pthread_setname_np(::pthread_self(), fmt::format("nbd-loop-{}", i).c_str());
      loop->run();
    });
  }
  return server;
}

NbdServer::~NbdServer() { stop(); }

// Gives a client to the loop with the fewest. Runs on the thread of the loop that accepts, the only one that
// adds to the loads.
bool NbdServer::admit(UniqueFd client) {
  std::size_t all = 0;
  ++turn_;
  NbdLoop* least = loops_[turn_ % loops_.size()].get();
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    NbdLoop* loop = loops_[(turn_ + i) % loops_.size()].get();
    all += loop->load();
    if (loop->load() < least->load()) least = loop;
  }
  if (all >= limits_.connections) return false;
  least->give(std::move(client));
  return true;
}

NbdCounts NbdServer::counters() const {
  NbdCounts sum;
  for (const auto& loop : loops_) loop->counters().add_to(sum);
  return sum;
}

void NbdServer::stop() {
  const std::lock_guard lock(stop_mutex_);
  for (const auto& loop : loops_) loop->stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  // A client may have been given to a loop that had ended already.
  for (const auto& loop : loops_) loop->let_given_go();
}

}  // namespace ashlar
