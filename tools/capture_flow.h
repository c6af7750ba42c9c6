// Capturing as verbs do it: with the parent that suits, progress for people, and one form of answer.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "capture/capture.h"
#include "program/cli.h"
#include "program/stop.h"
#include "repo/repo.h"

namespace ashlar {

// The newest snapshot of the same source; nothing, with a warning, when its record is damaged.
Result<std::optional<SnapshotRecord>> newest_of_source(Repo& repo, const Source& source);

// capture(), with its progress shown as `verb`. With `parent_is_guessed` a parent that turns out to be
// damaged is left aside, with a warning.
Result<CaptureReport> capture_with_progress(const Globals& globals, const std::string& verb, Repo& repo,
                                            Source& source, CaptureOptions options, bool parent_is_guessed,
                                            const Stop& stop);

// The raw file of a volume is the volume only once it is detached, and only while no server has it open:
// until then its absent blocks would be captured as zeros. The lock is to be held while it is captured; null
// for any other file. kInvalid or kBusy when it may not be captured.
Result<std::unique_ptr<FileLock>> hold_raw_file(Repo& repo, const std::string& source);

// The snapshot's id, and on standard error what was done; kIo when the answer can't be written.
Status print_report(const Globals& globals, const CaptureReport& report, double seconds);

}  // namespace ashlar
