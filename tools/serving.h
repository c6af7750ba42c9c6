// Serving: the volumes that one process serves, by name. With `--all` it can be asked for more, and to let go
// of one, through the socket `control` in <store>/overlays.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "serve/metrics_text.h"
#include "served_volume.h"

namespace ashlar {

class Serving : public ExportList {
 public:
  struct Hydration {
    bool wanted = false;
    std::uint64_t bytes_per_second = 0;  // of each volume; 0: no limit
  };
  Serving(VolumeHost& host, Hydration hydration, std::stop_token stop)
      : host_(host), hydration_(hydration), stop_(std::move(stop)) {}

  // A snapshot, to be read.
  Status add_snapshot(SnapshotId id);
  // Nothing when it is served already. Once it returns clients find it, and verbs too.
  Status open(VolumeId id);
  // kBusy while a client is connected; one that has just gone is waited for.
  Status close(VolumeId id);
  // Every volume with an overlay on this host; one that can't be opened is warned of, and left out. kBusy
  // when another process serves them already.
  Status serve_all();
  // After the NBD server has stopped: ends everything; the first error of those.
  Status close_all();
  // Once the NBD server listens, on this URI: after serve_all(), whatever is asked for is served too.
  Status listening_on(std::string address);

  // Counters of the volumes, and of the frames that they share.
  void add_metrics(MetricsText& text);

  std::vector<std::string> names() override;
  // By id, or by id and incarnation ("vol-…@3"): the latter is refused once writes that its client was told
  // of may be gone. A single export is also the default one.
  Result<std::shared_ptr<Export>> find(const std::string& name) override;

 private:
  Result<Json> answer(const Json& request);
  Result<Json> snapshot_together(const Json& request);
  Status open_all();
  bool let_go(VolumeId id);
  bool is_incarnation(const std::string& name, const std::string& number);
  std::string uri_of(VolumeId id);

  VolumeHost& host_;
  const Hydration hydration_;
  const std::stop_token stop_;
  ExportPools pools_;
  std::mutex captures_;
  std::mutex change_mutex_;  // one open() or close() at a time
  std::mutex mutex_;         // guards what stands below
  std::string address_;
  std::map<VolumeId, std::unique_ptr<ServedVolume>> volumes_;
  std::map<std::string, std::shared_ptr<Export>> exports_;
  std::set<VolumeId> left_out_;  // by open_all(), while one thread starts the server
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<ControlServer> control_;
};

}  // namespace ashlar
