// Metrics of an NBD server, made from its counters. Families: docs/nbd.md.
#pragma once

#include "serve/metrics_text.h"
#include "serve/nbd_server.h"

namespace ashlar {

void add_nbd_metrics(MetricsText& text, const NbdServer& server);

}  // namespace ashlar
