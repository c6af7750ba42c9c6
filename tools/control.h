// How a verb reaches the server that has a volume open: a unix socket in the volume's overlay directory, one
// JSON document each way, a line each. Only the owner of the directory may connect.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"
#include "program/output.h"

namespace ashlar {

class ControlServer {
 public:
  // Answers one request at a time, on a thread of its own, until destroyed.
  using Handler = std::function<Result<Json>(const Json&)>;
  static Result<std::unique_ptr<ControlServer>> start(const std::string& directory, Handler handler);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  ControlServer() = default;
  void serve();
  void answer(int client) const;
  Json reply_to(const Json& request) const;

  std::string path_;
  Handler handler_;
  UniqueFd listener_;
  UniqueFd end_;
  std::jthread thread_;
};

// Whether anybody listens there.
bool server_listens(const std::string& directory);

// Asks the server of a volume. kNotFound when none listens; an "error" in its answer comes back as that
// error.
Result<Json> ask_server(const std::string& directory, const Json& request);

}  // namespace ashlar
