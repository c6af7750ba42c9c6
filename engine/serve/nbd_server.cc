#include "serve/nbd_server.h"

#include <pthread.h>

namespace ashlar {

Result<std::unique_ptr<NbdServer>> NbdServer::start(ExportList& exports, ListenAddress address,
                                                    NbdServerOptions options) {
  NbdListener listener = TRY(NbdListener::open(std::move(address)));
  std::unique_ptr<NbdServer> server(new NbdServer(std::move(listener), options.limits));
  server->loop_ = TRY(
      NbdLoop::make(exports, server->listener_, server->limits_, server->counters_, std::move(options.tls)));
  server->thread_ = std::thread([loop = server->loop_.get()] {
    ::pthread_setname_np(::pthread_self(), "nbd-server");
    loop->run();
  });
  return server;
}

NbdServer::~NbdServer() { stop(); }

void NbdServer::stop() {
  const std::lock_guard lock(stop_mutex_);
  if (!thread_.joinable()) return;
  loop_->stop();
  thread_.join();
}

}  // namespace ashlar
