// NbdServer: serves exports to NBD clients from a few threads, each with its own loop; a connection stays on
// the loop that had the fewest when it came. Supported features, limits and errors: docs/nbd.md.
//
// The server looks exports up by name as clients come, and a connection keeps its export until it ends. The
// export list and its exports outlive the server. Any thread may call.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "serve/nbd_counters.h"
#include "serve/nbd_limits.h"
#include "serve/nbd_listener.h"
#include "serve/nbd_loop.h"

namespace ashlar {

struct NbdServerOptions {
  NbdLimits limits = {};
  unsigned loops = 0;  // 0: one for each processor, at most 4
  // With credentials a client has to speak TLS, without them it can't.
  std::shared_ptr<const TlsCredentials> tls = nullptr;
};

class NbdServer {
 public:
  // Starts a server, which is listening on return.
  static Result<std::unique_ptr<NbdServer>> start(ExportList& exports, ListenAddress address,
                                                  NbdServerOptions options = {});
  // Stops the server.
  ~NbdServer();
  NbdServer(const NbdServer&) = delete;
  NbdServer& operator=(const NbdServer&) = delete;

  // Returns the URI of the server, with the assigned port for port 0; nbds… where TLS is required.
  const std::string& address() const { return address_; }
  NbdCounts counters() const;
  std::size_t loops() const { return loops_.size(); }
  const NbdBudget& budget() const { return budget_; }

  // Takes no new clients and no new requests; requests in the export are answered, and then the connections
  // are closed. Waits for that: as long as the exports take, and limits.drain_seconds for clients that do not
  // take their replies.
  void stop();

 private:
  NbdServer(NbdListener listener, NbdLimits limits)
      : limits_(limits), budget_(limits), listener_(std::move(listener)) {}

  bool admit(UniqueFd client);

  const NbdLimits limits_;
  NbdBudget budget_;
  NbdListener listener_;
  std::string address_;
  std::vector<std::unique_ptr<NbdLoop>> loops_;  // the first accepts
  std::size_t turn_ = 0;                         // index of the loop that is asked first for a new connection
  std::mutex stop_mutex_;
  std::vector<std::thread> threads_;
};

}  // namespace ashlar
