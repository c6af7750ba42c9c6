#include "serve/nbd_metrics.h"

namespace ashlar {

using Type = MetricsText::Type;

void add_nbd_metrics(MetricsText& text, const NbdServer& server) {
  const NbdCounts counts = server.counters();
  const auto counter = [&text](std::string_view name, std::string_view help, std::uint64_t value) {
    text.single(name, Type::kCounter, help, value);
  };
  text.single("ashlar_nbd_connections", Type::kGauge, "Clients that are connected.", counts.connections_open);
  counter("ashlar_nbd_connections_accepted_total", "Clients that were let in.", counts.connections_accepted);
  counter("ashlar_nbd_connections_refused_total", "Clients over the limit of connections.",
          counts.connections_refused);
  counter("ashlar_nbd_handshakes_timed_out_total", "Handshakes that took too long.",
          counts.handshakes_timed_out);
  counter("ashlar_nbd_stalled_connections_closed_total", "Clients that kept memory others waited for.",
          counts.stalled_connections_closed);
  counter("ashlar_nbd_tls_failures_total", "TLS connections that failed or broke off.", counts.tls_failures);
  text.family("ashlar_nbd_requests_total", Type::kCounter, "Requests taken, by kind.");
  text.sample(counts.reads, {{"kind", "read"}});
  text.sample(counts.writes, {{"kind", "write"}});
  text.sample(counts.flushes, {{"kind", "flush"}});
  text.sample(counts.trims, {{"kind", "trim"}});
  text.sample(counts.other_requests, {{"kind", "other"}});
  counter("ashlar_nbd_requests_delayed_total", "Requests that waited for memory.", counts.requests_delayed);
  counter("ashlar_nbd_read_bytes_total", "Bytes given to clients.", counts.bytes_read);
  counter("ashlar_nbd_written_bytes_total", "Bytes taken from clients.", counts.bytes_written);
  counter("ashlar_nbd_errors_total", "Requests that were answered with an error.", counts.errors);
  const NbdBudget& budget = server.budget();
  text.single("ashlar_nbd_common_memory_bytes", Type::kGauge,
              "Memory in use of the half that connections have in common.", budget.common_used());
  text.single("ashlar_nbd_requests_waiting", Type::kGauge, "Requests that wait for memory now.",
              budget.waiting());
}

}  // namespace ashlar
