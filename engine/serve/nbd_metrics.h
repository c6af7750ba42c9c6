// NBD metrics: the counters of an NBD server as a page of metrics. Families: docs/nbd.md.
#pragma once

#include "serve/metrics_text.h"
#include "serve/nbd_server.h"

namespace ashlar {

void add_nbd_metrics(MetricsText& text, const NbdServer& server);

}  // namespace ashlar
