// MetricsListener: answers GET /metrics over HTTP/1.1 on a loopback address or a unix socket, and refuses all
// else.
//
// One thread, 8 connections at a time, 8 KiB and 5 seconds for a request and its answer; each connection is
// closed after one request. A callback makes the page, on that thread.
#pragma once

#include <poll.h>

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "serve/nbd_listener.h"

namespace ashlar {

struct MetricsLimits {
  std::size_t connections = 8;  // more connections wait in the socket's queue
  std::size_t request_bytes = 8192;
  double seconds = 5;
};

class MetricsListener {
 public:
  using Page = std::function<std::string()>;

  // Starts listening. Returns kInvalid for a TCP address that is not a loopback one: there, access could not
  // be limited.
  static Result<std::unique_ptr<MetricsListener>> start(ListenAddress address, Page page,
                                                        MetricsLimits limits = {});
  // Stops the thread and waits for it.
  ~MetricsListener();
  MetricsListener(const MetricsListener&) = delete;
  MetricsListener& operator=(const MetricsListener&) = delete;

  // Returns http://HOST:PORT/metrics, with the assigned port for port 0, or the path of the socket.
  const std::string& address() const { return address_; }

 private:
  struct Connection {
    UniqueFd fd;
    double until = 0;
    std::string request;
    std::string answer;  // empty until it is made
    std::size_t sent = 0;
  };

  MetricsListener(NbdListener listener, Page page, MetricsLimits limits)
      : listener_(std::move(listener)), page_(std::move(page)), limits_(limits) {}
  void run();
  int wait(std::vector<pollfd>& polled);
  void accept_one();
  // Receives or sends what is possible, and returns false when the connection is done.
  bool go_on(Connection& connection);
  bool receive(Connection& connection);
  bool send(Connection& connection);

  NbdListener listener_;
  const Page page_;
  const MetricsLimits limits_;
  std::string address_;
  UniqueFd wake_;  // an eventfd; readable when the thread is to end
  std::list<Connection> connections_;
  std::thread thread_;
};

}  // namespace ashlar
