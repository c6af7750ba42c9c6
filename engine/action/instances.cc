#include "action/instances.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"

namespace ashlar {
namespace {

Result<InstanceDescription> describe(const Instances& instances, InstanceRecord record) {
  const InstanceState state = TRY(instances.state_of(record));
  std::string directory = instances.directory(record.id);
  return InstanceDescription{std::move(record), state, std::move(directory)};
}

// Collects changes. Of several failures the first is the answer's, and the others are warnings.
class Changes {
 public:
  explicit Changes(const Caller& caller) : caller_(caller) {}

  void add(InstanceId id, const Result<InstanceState>& before, InstanceState now) {
    before.ok() ? answer_.changes.push_back({id, before.value(), now}) : failed(id, before.error());
  }
  void failed(InstanceId id, const Error& error) {
    const bool is_named = error.text().find(id.text()) != std::string::npos;
    const Error whole = is_named ? error : error.with_context(id.text());
    if (answer_.failure.ok()) {
      answer_.failure = whole;
    } else {
      caller_.notices.warn(whole.text());
    }
  }
  InstanceChanges take() { return std::move(answer_); }

 private:
  const Caller& caller_;
  InstanceChanges answer_;
};

}  // namespace

Result<InstanceList> describe_instances(Host& host, const Caller& /*caller*/) {
  const Instances& instances = host.machines().instances();
  InstanceList listing;
  for (const InstanceId id : TRY(instances.list())) {
    auto record = instances.load(id);
    if (record.ok()) {
      listing.instances.push_back(TRY(describe(instances, record.take())));
    } else if (!is(record, ErrorCode::kNotFound)) {
      listing.unread.push_back(record.take_error());
    }
  }
  std::ranges::sort(listing.instances, {}, [](const InstanceDescription& one) {
    return std::pair(one.record.created, one.record.id);
  });
  return listing;
}

Result<std::vector<InstanceDescription>> describe_instances(Host& host, const Caller& /*caller*/,
                                                            const std::vector<InstanceId>& ids) {
  const Instances& instances = host.machines().instances();
  std::vector<InstanceDescription> found;
  found.reserve(ids.size());
  for (const InstanceId id : ids) found.push_back(TRY(describe(instances, TRY(instances.load(id)))));
  return found;
}

InstanceChanges start_instances(Host& host, const Caller& caller, const std::vector<InstanceId>& ids) {
  Changes changes(caller);
  for (const InstanceId id : ids) changes.add(id, host.machines().start(id), InstanceState::kRunning);
  return changes.take();
}

// Presses all power buttons first, so that the guests shut down at the same time.
InstanceChanges stop_instances(Host& host, const Caller& caller, const StopInstancesRequest& request) {
  Changes changes(caller);
  std::vector<std::pair<InstanceId, InstanceState>> stopping;
  for (const InstanceId id : request.ids) {
    const auto before = host.machines().begin_stop(id, request.force);
    if (before.ok()) {
      stopping.emplace_back(id, before.value());
    } else {
      changes.failed(id, before.error());
    }
  }
  const double deadline = monotonic_seconds() + (request.force ? 0 : request.seconds);
  for (const auto& [id, before] : stopping) {
    const Status stopped = host.machines().finish_stop(id, std::max(0.0, deadline - monotonic_seconds()));
    changes.add(id, stopped.ok() ? Result<InstanceState>(before) : stopped.error(), InstanceState::kStopped);
  }
  return changes.take();
}

InstanceChanges terminate_instances(Host& host, const Caller& caller, const std::vector<InstanceId>& ids) {
  Changes changes(caller);
  for (const InstanceId id : ids) {
    const auto ended = host.machines().terminate(id);
    if (!ended.ok()) {
      changes.failed(id, ended.error());
      continue;
    }
    changes.add(id, ended.value().before, InstanceState::kTerminated);
    for (const VolumeId kept : ended.value().kept)
      caller.notices.note(fmt::format("{}: its volume {} stays", id.text(), kept.text()));
  }
  return changes.take();
}

}  // namespace ashlar
