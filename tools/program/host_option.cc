#include "program/host_option.h"

#include <cstdlib>
#include <filesystem>

namespace ashlar {
namespace {

constexpr const char* kAcceleratorVariable = "ASHLAR_ACCEL";
constexpr const char* kDirectoryVariable = "ASHLAR_HOST_DIR";

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): never changed
  return value ? value : "";
}

// A server works in the folder of overlays, where a relative host directory would be another one.
ServerCommand server_command() {
  std::vector<std::string> words;
  if (const std::string directory = environment(kDirectoryVariable); !directory.empty()) {
    const std::filesystem::path whole = std::filesystem::absolute(directory).lexically_normal();
    words = {"/usr/bin/env", std::string(kDirectoryVariable) + "=" + whole.native()};
  }
  words.push_back(std::filesystem::read_symlink("/proc/self/exe"));
  return [words](const std::string& store, const std::string& socket) {
    std::vector<std::string> command = words;
    for (const char* word : {"serve", "--store"}) command.emplace_back(word);
    command.push_back(store);
    for (const char* word : {"--all", "--socket"}) command.emplace_back(word);
    command.push_back(socket);
    return command;
  };
}

}  // namespace

Result<OpenHost> open_host(const Globals& globals, std::stop_token stop, std::size_t cache_bytes) {
  auto notices = std::make_unique<TerminalNotices>(globals);
  auto repo = TRY(open_copied_store(globals));  // the host refuses such a store
  Caller caller = TRY(caller_of(globals, *repo, *notices, std::move(stop)));
  auto host = TRY(Host::open(std::move(repo), *notices,
                             {cache_bytes, environment(kAcceleratorVariable), server_command()}));
  return OpenHost{std::move(notices), std::move(host), std::move(caller)};
}

}  // namespace ashlar
