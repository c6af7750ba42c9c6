// TerminalNotices: warnings, notes and progress of actions, on standard error.
#pragma once

#include "base/notices.h"
#include "program/cli.h"

namespace ashlar {

class TerminalNotices : public Notices {
 public:
  // `globals` says how progress is shown, and outlives this.
  explicit TerminalNotices(const Globals& globals) : globals_(globals) {}
  void warn(const std::string& text) override;
  void note(const std::string& text) override;
  std::unique_ptr<ProgressWatch> watch(std::string operation,
                                       std::function<ProgressSample()> sample) override;

 private:
  const Globals& globals_;
};

}  // namespace ashlar
