// ControlSocket: the way to a server that has volumes open: a unix socket `control` in a directory, one line
// of text each way (host/control_messages.h). Only the owner of the directory may connect.
// Internal to the module.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"

namespace ashlar {

class ControlSocket {
 public:
  // Listens in `directory` and answers one request at a time, on a thread of its own, until destroyed. The
  // caller holds a lock that lets one server at a time listen there: a socket that is there already belongs
  // to a dead one and is replaced. A line that is too long or comes too slowly is given to `answer` as an
  // empty line.
  using Answer = std::function<std::string(const std::string& line)>;
  static Result<std::unique_ptr<ControlSocket>> listen(const std::string& directory, Answer answer);
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

 private:
  ControlSocket() = default;
  void serve();

  std::string path_;
  Answer answer_;
  UniqueFd listener_;
  UniqueFd end_;
  std::jthread thread_;
};

// Returns whether a server listens in the directory.
bool server_listens(const std::string& directory);

// Sends a line and returns the line that the server answers. Fails with kNotFound when no server listens,
// with kIo when it gives no answer.
Result<std::string> ask_line(const std::string& directory, const std::string& line);

}  // namespace ashlar
