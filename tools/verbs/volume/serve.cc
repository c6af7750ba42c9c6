// ashlar serve: volumes, or one snapshot read-only, as NBD exports.
#include <fmt/format.h>

#include <condition_variable>
#include <mutex>

#include "host/served_volumes.h"
#include "host/volume_metrics.h"
#include "program/cli.h"
#include "program/host_option.h"
#include "program/output.h"
#include "program/stop.h"
#include "serve/metrics_listener.h"
#include "serve/nbd_metrics.h"
#include "serve/nbd_server.h"
#include "shapes/listen_address.h"

namespace ashlar {
namespace {

constexpr std::size_t kMinCacheBytes = std::size_t{1} << 20U;

struct Options {
  std::string snapshot;
  std::vector<std::string> volumes;
  bool all = false;
  bool hydrate = false;
  std::uint64_t rate = 0;
  std::uint64_t cache = FrameCache::kDefaultBytes;
  std::string socket;
  std::string listen;
  std::string tls_certificates;
  std::string tls_psk;
  std::string metrics;
};

Status check(const Options& options) {
  const int what =
      (options.snapshot.empty() ? 0 : 1) + (options.volumes.empty() ? 0 : 1) + (options.all ? 1 : 0);
  if (what != 1) return invalid("give one of SNAP, --volume VOL… and --all");
  if (!options.socket.empty() && !options.listen.empty()) return invalid("give one of --socket and --listen");
  if (options.socket.empty() && options.listen.empty() && !has_inherited_socket()) {
    return invalid("give one of --socket and --listen");
  }
  if (!options.tls_certificates.empty() && !options.tls_psk.empty()) {
    return invalid("give one of --tls-certificates and --tls-psk");
  }
  if (!options.listen.empty()) TRY(parse_tcp_address("--listen", options.listen));
  if (!options.metrics.empty()) TRY(parse_address("--metrics", options.metrics));
  if (options.hydrate && !options.snapshot.empty()) return invalid("--hydrate is for volumes");
  if (options.rate != 0 && !options.hydrate) return invalid("--rate goes with --hydrate");
  if (options.cache < kMinCacheBytes) return invalid("--cache: at least 1M");
  for (const std::string& text : options.volumes) {
    const auto id = VolumeId::parse(text);
    if (!id.ok()) return invalid("--volume: " + id.error().text());
  }
  return {};
}

Result<ListenAddress> listen_address(const Options& options) {
  if (!options.socket.empty()) return ListenAddress(UnixAddress{options.socket});
  if (options.listen.empty()) return ListenAddress(TRY(take_inherited_socket()));
  return ListenAddress(TRY(parse_tcp_address("--listen", options.listen)));
}

Result<std::shared_ptr<const TlsCredentials>> credentials(const Options& options) {
  if (!options.tls_certificates.empty()) return TlsCredentials::from_certificates(options.tls_certificates);
  if (!options.tls_psk.empty()) return TlsCredentials::from_psk_file(options.tls_psk);
  return std::shared_ptr<const TlsCredentials>();
}

Result<std::unique_ptr<MetricsListener>> metrics(const Options& options, const NbdServer& server,
                                                 ServedVolumes& serving) {
  if (options.metrics.empty()) return std::unique_ptr<MetricsListener>();
  ListenAddress address = TRY(parse_address("--metrics", options.metrics));
  return MetricsListener::start(std::move(address),
                                [&server, &serving] {
                                  MetricsText text;
                                  add_nbd_metrics(text, server);
                                  add_volume_metrics(text, serving);
                                  return text.take();
                                })
      .with_context("--metrics");
}

void wait_for(const std::stop_token& token) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait(lock, token, [] { return false; });
}

Status open_exports(const Options& options, ServedVolumes& serving) {
  if (options.all) return serving.serve_all();
  if (!options.snapshot.empty()) return serving.add_snapshot(TRY(SnapshotId::parse(options.snapshot)));
  for (const std::string& text : options.volumes) TRY(serving.open(TRY(VolumeId::parse(text))));
  return {};
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  // Before any file is opened: none must get the number of a socket that was announced and is not there.
  ListenAddress address = TRY(listen_address(options));
  const OpenHost open = TRY(open_host(globals, stop.token(), options.cache));
  Host& host = *open.host;
  TRY(host.volumes().images().prepare());
  NbdServerOptions how;
  how.tls = TRY(credentials(options));
  const bool plain = how.tls == nullptr;
  TRY(stop.watch());
  ServedVolumes serving(host.repo(), host.volumes(), *open.notices, {options.hydrate, options.rate},
                        stop.token());
  TRY(open_exports(options, serving));
  const auto server = TRY(NbdServer::start(serving, std::move(address), std::move(how)));
  if (plain && leaves_the_host(server->address())) {
    print_warning(server->address() +
                  " is open to the network without TLS: every host that reaches it may read and write");
  }
  const auto metrics_listener = TRY(metrics(options, *server, serving));
  TRY(serving.listening_on(server->address()));
  Json ready{{"address", server->address()}, {"exports", serving.names()}, {"metrics", nullptr}};
  if (metrics_listener) ready["metrics"] = metrics_listener->address();
  print(globals.json ? ready.dump() + "\n" : server->address() + "\n");
  finish_output();
  wait_for(stop.token());
  server->stop();
  TRY(serving.close_all());
  return ExitCode::kDone;
}

}  // namespace

void add_serve(Cli& cli) {
  auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("serve", "Serve volumes, or a snapshot read-only, to NBD clients until stopped",
                           "  ashlar serve --all --socket /run/ashlar.sock --hydrate --rate 100M\n"
                           "  ashlar serve snap-01a2b3c4d5e6f7089 --listen 127.0.0.1:10809");
  verb.snapshot("SNAP", options->snapshot, "A snapshot, to be served read-only", Presence::kOptional);
  verb.texts("--volume", "VOL", options->volumes, "A volume; may be given more than once");
  verb.flag("--all", options->all, "All volumes of this host, and those made meanwhile");
  verb.text("--socket", "FILE", options->socket, "Listen on this unix socket, for its owner alone");
  verb.text("--listen", "ADDRESS:PORT", options->listen, "Listen on this address; port 0: any that is free");
  verb.text("--tls-certificates", "DIR", options->tls_certificates,
            "Require TLS: server-cert.pem and server-key.pem; with ca-cert.pem also of clients");
  verb.text("--tls-psk", "FILE", options->tls_psk, "Require TLS: keys of clients, as psktool writes them");
  verb.text("--metrics", "ADDRESS:PORT|FILE", options->metrics,
            "Give metrics for Prometheus on this loopback address or unix socket");
  verb.flag("--hydrate", options->hydrate,
            "Fetch what the volumes do not hold yet, while no client reads from the store");
  verb.size("--rate", options->rate, "Bytes a second that hydration of a volume takes at most [no limit]");
  verb.size("--cache", options->cache, "Memory for decoded frames, shared by all volumes [256M]");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
