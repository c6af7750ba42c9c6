// Notices: the one sink for what an operation has to say while it runs: warnings, notes and progress.
//
// The engine prints nothing. The caller of an operation gives it a sink: the command line prints to standard
// error, a server would log, a test collects.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ashlar {

// The work that an operation has done so far. Members that it does not count stay empty.
struct ProgressSample {
  std::uint64_t total_bytes = 0;  // 0: unknown
  std::uint64_t done_bytes = 0;
  std::optional<std::uint64_t> read_bytes;
  std::optional<std::uint64_t> new_bytes;
  std::optional<std::uint64_t> stored_bytes;
  std::optional<std::uint64_t> written_bytes;
};

// Progress is shown while this object lives.
class ProgressWatch {
 public:
  ProgressWatch() = default;
  ProgressWatch(const ProgressWatch&) = delete;
  ProgressWatch& operator=(const ProgressWatch&) = delete;
  virtual ~ProgressWatch() = default;
};

// Calls may come from any thread.
class Notices {
 public:
  Notices() = default;
  Notices(const Notices&) = delete;
  Notices& operator=(const Notices&) = delete;
  virtual ~Notices() = default;

  // Says that something is not as the caller may expect, though the operation goes on.
  virtual void warn(const std::string& text) = 0;
  // Says what was done beside the answer.
  virtual void note(const std::string& text) = 0;
  // Calls `sample` now and then, on another thread, until the watch is destroyed. `operation` is its name:
  // "capture". What `sample` reads outlives the watch.
  virtual std::unique_ptr<ProgressWatch> watch(std::string operation,
                                               std::function<ProgressSample()> sample) = 0;
};

// Drops everything.
class SilentNotices : public Notices {
 public:
  void warn(const std::string&) override {}
  void note(const std::string&) override {}
  std::unique_ptr<ProgressWatch> watch(std::string, std::function<ProgressSample()>) override {
    return std::make_unique<ProgressWatch>();
  }
};

// Keeps warnings and notes; one thread at a time.
class CollectedNotices : public Notices {
 public:
  void warn(const std::string& text) override { warnings.push_back(text); }
  void note(const std::string& text) override { notes.push_back(text); }
  std::unique_ptr<ProgressWatch> watch(std::string, std::function<ProgressSample()>) override {
    return std::make_unique<ProgressWatch>();
  }
  std::vector<std::string> warnings;
  std::vector<std::string> notes;
};

}  // namespace ashlar
