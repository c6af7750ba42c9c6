#include "action/samples.h"

namespace ashlar {

ProgressSample sample_of(const CaptureProgress& progress) {
  ProgressSample sample;
  sample.total_bytes = progress.total_bytes;
  sample.done_bytes = progress.done_bytes;
  sample.read_bytes = progress.read_bytes;
  sample.new_bytes = progress.new_bytes;
  sample.stored_bytes = progress.stored_bytes;
  return sample;
}

ProgressSample sample_of(const RestoreProgress& progress) {
  ProgressSample sample;
  sample.total_bytes = progress.total_bytes;
  sample.done_bytes = progress.done_bytes;
  sample.written_bytes = progress.written_bytes;
  return sample;
}

ProgressSample sample_of(const VerifyProgress& progress) {
  ProgressSample sample;
  sample.total_bytes = progress.total_bytes;
  sample.done_bytes = progress.done_bytes;
  return sample;
}

ProgressSample sample_of(const CollectProgress& progress) {
  ProgressSample sample;
  sample.total_bytes = progress.total_bytes;
  sample.done_bytes = progress.done_bytes;
  return sample;
}

ProgressSample sample_of(const AnalyzeProgress& progress) {
  ProgressSample sample;
  sample.total_bytes = progress.total_bytes;
  sample.done_bytes = progress.done_bytes;
  sample.read_bytes = progress.read_bytes;
  return sample;
}

}  // namespace ashlar
