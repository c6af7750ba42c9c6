// ashlar serve: volumes, or one snapshot read-only, as NBD exports.
#include <fmt/format.h>

#include <condition_variable>
#include <mutex>

#include "cli.h"
#include "output.h"
#include "serve/nbd_server.h"
#include "serving.h"
#include "stop.h"
#include "store_option.h"

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
};

Status check(const Options& options) {
  const int what =
      (options.snapshot.empty() ? 0 : 1) + (options.volumes.empty() ? 0 : 1) + (options.all ? 1 : 0);
  if (what != 1) return invalid("give one of SNAP, --volume VOL… and --all");
  if (options.socket.empty() == options.listen.empty()) return invalid("give one of --socket and --listen");
  if (options.hydrate && !options.snapshot.empty()) return invalid("--hydrate is for volumes");
  if (options.rate != 0 && !options.hydrate) return invalid("--rate goes with --hydrate");
  if (options.cache < kMinCacheBytes) return invalid("--cache: at least 1M");
  for (const std::string& text : options.volumes) {
    const auto id = VolumeId::parse(text);
    if (!id.ok()) return invalid("--volume: " + id.error().text());
  }
  return {};
}

// "ADDRESS:PORT"; an IPv6 address stands in brackets.
Result<ListenAddress> listen_address(const Options& options) {
  if (!options.socket.empty()) return ListenAddress(UnixAddress{options.socket});
  const std::size_t colon = options.listen.rfind(':');
  const std::string port = colon == std::string::npos ? "" : options.listen.substr(colon + 1);
  std::string host = options.listen.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const bool digits =
      !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
  if (host.empty() || !digits || std::stoul(port) > 65535) {
    return invalid(fmt::format("--listen: '{}' is not of the form ADDRESS:PORT", options.listen));
  }
  return ListenAddress(TcpAddress{host, static_cast<std::uint16_t>(std::stoul(port))});
}

void wait_for(const std::stop_token& token) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait(lock, token, [] { return false; });
}

Status open_exports(const Options& options, Serving& serving) {
  if (options.all) return serving.serve_all();
  if (!options.snapshot.empty()) return serving.add_snapshot(TRY(SnapshotId::parse(options.snapshot)));
  for (const std::string& text : options.volumes) TRY(serving.open(TRY(VolumeId::parse(text))));
  return {};
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  const auto host = TRY(open_volume_host(globals, options.cache));
  TRY(host->prepare());
  ListenAddress address = TRY(listen_address(options));
  TRY(stop.watch());
  Serving serving(*host, {options.hydrate, options.rate}, stop.token());
  TRY(open_exports(options, serving));
  const auto server = TRY(NbdServer::start(serving, std::move(address)));
  serving.set_address(server->address());
  print(globals.json ? Json{{"address", server->address()}, {"exports", serving.names()}}.dump() + "\n"
                     : server->address() + "\n");
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
  verb.flag("--hydrate", options->hydrate,
            "Fetch what the volumes do not hold yet, while nobody reads from the store");
  verb.size("--rate", options->rate, "Bytes a second that hydration of a volume takes at most [no limit]");
  verb.size("--cache", options->cache, "Memory for decoded frames, shared by all volumes [256M]");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
