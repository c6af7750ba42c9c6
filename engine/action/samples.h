// sample_of(): the progress of the engine's operations as samples for a progress watch.
#pragma once

#include "analyze/analyze.h"
#include "base/notices.h"
#include "capture/capture.h"
#include "collect/collect.h"
#include "restore/restore.h"
#include "scrub/verify.h"

namespace ashlar {

ProgressSample sample_of(const CaptureProgress& progress);
ProgressSample sample_of(const RestoreProgress& progress);
ProgressSample sample_of(const VerifyProgress& progress);
ProgressSample sample_of(const CollectProgress& progress);
ProgressSample sample_of(const AnalyzeProgress& progress);

}  // namespace ashlar
