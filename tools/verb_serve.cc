// ashlar serve: volumes, or one snapshot read-only, as NBD exports.
#include <fmt/format.h>

#include <map>
#include <mutex>

#include "cli.h"
#include "control.h"
#include "output.h"
#include "record_output.h"
#include "serve/nbd_server.h"
#include "serve/volume_export.h"
#include "stop.h"
#include "volume/hydrator.h"
#include "volume_host.h"
#include "volume_output.h"

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

// A volume that is served: open, exported, and reachable for verbs.
class Served {
 public:
  Served(VolumeHost& host, VolumeId id, std::shared_ptr<Volume> volume, std::mutex& snapshots,
         const std::stop_token& stop)
      : host_(host), id_(id), volume_(std::move(volume)), snapshots_(snapshots), stop_(stop) {}

  Status listen() {
    control_ = TRY(ControlServer::start(host_.overlay_directory(id_), [this](const Json& request) {
      Result<Json> reply = answer(request);
      if (reply.ok()) return reply.take();
      return Json{{"error", error_json(error_code_name(reply.error().code()), reply.error().text())}};
    }));
    return {};
  }
  void start_hydrating(std::uint64_t bytes_per_second) {
    hydrator_ = std::jthread([this, bytes_per_second](const std::stop_token& stop) {
      HydrateProgress progress;
      const Status done = hydrate(*volume_, {bytes_per_second, true}, progress, stop);
      if (!done.ok() && done.error().code() != ErrorCode::kCancelled)
        print_warning(fmt::format("{}: hydration ended: {}", id_.text(), done.error().text()));
    });
  }
  // No verb and no hydration any more, and everything durable.
  Status close() {
    control_.reset();
    hydrator_ = {};
    return volume_->overlay().close().with_context(id_.text());
  }
  VolumeId id() const { return id_; }
  const std::shared_ptr<Volume>& volume() const { return volume_; }

 private:
  Result<Json> answer(const Json& request) {
    const std::string verb = request.value("verb", "");
    if (verb == "describe") return volume_state_json(*volume_, true);
    if (verb != "snapshot") return invalid(fmt::format("the volume's server knows no '{}'", verb));
    CaptureOptions how;
    how.name = request.value("name", "");
    how.description = request.value("description", "");
    how.tags = request.value("tags", Tags());
    how.consistency = Consistency::kInstant;
    CaptureProgress progress;
    const std::lock_guard one_at_a_time(snapshots_);
    return capture_json(TRY(host_.snapshot(id_, *volume_, std::move(how), progress, stop_)));
  }

  VolumeHost& host_;
  VolumeId id_;
  std::shared_ptr<Volume> volume_;
  std::mutex& snapshots_;
  const std::stop_token stop_;
  std::unique_ptr<ControlServer> control_;
  std::jthread hydrator_;
};

class Exports : public ExportList {
 public:
  void add(std::string name, std::shared_ptr<Export> what) {
    exports_.emplace(std::move(name), std::move(what));
  }

  std::vector<std::string> names() override {
    std::vector<std::string> names;
    for (const auto& [name, what] : exports_) names.push_back(name);
    return names;
  }
  // A single export is also the default one.
  Result<std::shared_ptr<Export>> find(const std::string& name) override {
    if (name.empty() && exports_.size() == 1) return exports_.begin()->second;
    const auto found = exports_.find(name);
    if (found == exports_.end()) return not_found(fmt::format("no export '{}'", name));
    return found->second;
  }

 private:
  std::map<std::string, std::shared_ptr<Export>> exports_;
};

class Server {
 public:
  Server(const Globals& globals, const Options& options) : globals_(globals), options_(options) {}

  Status run(Stop& stop) {
    host_ = TRY(VolumeHost::open(globals_, options_.cache));
    ListenAddress address = TRY(listen_address(options_));
    if (!options_.snapshot.empty()) {
      const SnapshotId id = TRY(SnapshotId::parse(options_.snapshot));
      exports_.add(id.text(), std::make_shared<SnapshotExport>(TRY(host_->open_snapshot(id)), pools_));
    }
    for (const VolumeId id : TRY(wanted())) TRY(open(id, stop.token()));
    TRY(stop.watch());
    for (const auto& served : served_) {
      TRY(served->listen());
      if (options_.hydrate) served->start_hydrating(options_.rate);
    }
    const auto server = TRY(NbdServer::start(exports_, std::move(address)));
    print(globals_.json ? Json{{"address", server->address()}, {"exports", exports_.names()}}.dump() + "\n"
                        : server->address() + "\n");
    finish_output();
    wait_for(stop.token());
    server->stop();
    Status first;
    for (const auto& served : served_) {
      Status closed = served->close();
      if (first.ok() && !closed.ok()) first = std::move(closed);
    }
    return first;
  }

 private:
  Result<std::vector<VolumeId>> wanted() {
    std::vector<VolumeId> ids;
    for (const std::string& text : options_.volumes) ids.push_back(TRY(VolumeId::parse(text)));
    if (options_.all) {
      for (const VolumeRecord& record : TRY(host_->catalog().list())) ids.push_back(record.id);
    }
    return ids;
  }

  Status open(VolumeId id, const std::stop_token& stop) {
    const std::shared_ptr<Volume> volume = TRY(host_->open_volume(id));
    served_.push_back(std::make_unique<Served>(*host_, id, volume, snapshots_, stop));
    exports_.add(id.text(), std::make_shared<VolumeExport>(volume, pools_));
    return {};
  }

  static void wait_for(const std::stop_token& token) {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock(mutex);
    changed.wait(lock, token, [] { return false; });
  }

  const Globals& globals_;
  const Options& options_;
  std::unique_ptr<VolumeHost> host_;
  std::mutex snapshots_;  // one snapshot of any volume at a time
  ExportPools pools_;
  Exports exports_;
  std::vector<std::unique_ptr<Served>> served_;
};

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  TRY(Server(globals, options).run(stop));
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
  verb.flag("--all", options->all, "All volumes of the store");
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
