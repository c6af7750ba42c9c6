// Volume metrics: counters of the volumes that a process serves, as Prometheus reads them.
#pragma once

#include "host/served_volumes.h"
#include "serve/metrics_text.h"

namespace ashlar {

// Adds the counters of each volume, and of the frames that the volumes share.
void add_volume_metrics(MetricsText& text, ServedVolumes& served);

}  // namespace ashlar
