// Running a capture for an action: the parent that suits, progress, and a second attempt when a guessed
// parent is damaged. For the actions of this module. Internal to the module.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "action/caller.h"
#include "capture/capture.h"
#include "repo/repo.h"

namespace ashlar {

// Returns the newest snapshot of the same source. Warns of records that can't be read, and passes them over:
// a missing parent costs time only. Lists the names of all snapshots, and reads the records that this host
// has not read before.
Result<std::optional<SnapshotRecord>> newest_of_source(Repo& repo, const Source& source, Notices& notices);

enum class ParentChoice : unsigned char { kGuessed, kChosen };
// Captures with progress shown as `operation`. A guessed parent that turns out to be damaged is left aside,
// with a warning, and everything is read.
Result<CaptureReport> run_capture(Repo& repo, const Caller& caller, const std::string& operation,
                                  Source& source, CaptureOptions options, ParentChoice parent);

// Locks the volume whose raw file `source` is; returns null for any other file. The lock is held while the
// file is captured. The raw file equals the volume only when it holds all blocks and no process serves it,
// because blocks that it lacks would be captured as zeros. Fails with kInvalid, kind kRawFilePartial, or with
// kBusy, kind kVolumeServed, otherwise.
Result<std::unique_ptr<FileLock>> hold_raw_file(Repo& repo, const std::string& source);

}  // namespace ashlar
