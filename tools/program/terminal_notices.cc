#include "program/terminal_notices.h"

#include "program/output.h"
#include "program/progress.h"

namespace ashlar {

void TerminalNotices::warn(const std::string& text) { print_warning(text); }
void TerminalNotices::note(const std::string& text) { print_note(text); }

std::unique_ptr<ProgressWatch> TerminalNotices::watch(std::string operation,
                                                      std::function<ProgressSample()> sample) {
  return std::make_unique<ProgressDisplay>(globals_, std::move(operation), std::move(sample));
}

}  // namespace ashlar
