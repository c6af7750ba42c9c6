#include "action/volumes.h"

#include <fmt/format.h>

#include "host/volume_access.h"

namespace ashlar {
namespace {

// A server of all volumes serves a new one at once. Where none runs, nothing is lost.
void offer_to_server(Host& host, const Caller& caller, VolumeId id) {
  const auto served = ask(host.repo().host().overlays(), OpenVolume{id});
  if (!served.ok() && !is(served, ErrorCode::kNotFound)) {
    caller.notices.warn(
        fmt::format("{} is made, but it is not served yet: {}", id.text(), served.error().text()));
  }
}

Result<std::unique_ptr<VolumeAccess>> access(Host& host, VolumeId id) {
  return VolumeAccess::of(host.repo(), host.volumes(), id);
}

Error used_by(VolumeId id, InstanceId owner) {
  return busy(fmt::format("{} is in use by {}", id.text(), owner.text()))
      .about(ErrorKind::kVolumeOfMachine, owner.text());
}

// Two systems that write to one volume destroy each other's data.
Status refuse_if_running(Host& host, VolumeId id) {
  const Instances& instances = host.machines().instances();
  const auto owner = TRY(instances.owner_of(id));
  if (!owner || TRY(instances.state_of(*owner)) == InstanceState::kStopped) return {};
  return used_by(id, owner->id);
}

}  // namespace

Result<VolumeRecord> create_volume(Host& host, const Caller& caller, const CreateVolumeRequest& request) {
  const VolumeRecord record =
      TRY(host.volumes().create({request.snapshot, request.size, request.name, request.tags,
                                 volume_owner(caller, host.repo().config().id)}));
  offer_to_server(host, caller, record.id);
  return record;
}

Result<VolumeRecord> clone_volume(Host& host, const Caller& caller, const CloneVolumeRequest& request) {
  const CaptureReport report =
      TRY(snapshot_volume(host, caller, {request.volume, {}, "made to clone " + request.volume.text(), {}}));
  return create_volume(host, caller, {report.record.id, request.size, request.name, request.tags});
}

Result<VolumeList> describe_volumes(Repo& repo, const Caller& /*caller*/) {
  VolumeList list;
  list.records = TRY(VolumeCatalog(repo.objects()).list(&list.unread));
  return list;
}

Result<VolumeDescription> describe_volume(Host& host, const Caller& /*caller*/, VolumeId id) {
  VolumeDescription description;
  description.record = TRY(host.volumes().catalog().get(id));
  description.state = TRY(TRY(access(host, id))->describe());
  return description;
}

Result<VolumeRecord> resize_volume(Host& host, const Caller& /*caller*/, VolumeId id, ByteCount size) {
  TRY(TRY(access(host, id))->resize(size));
  return host.volumes().catalog().get(id);
}

// A server of all volumes lets go of a volume that no client uses.
Status delete_volume(Host& host, const Caller& /*caller*/, VolumeId id, BlocksElsewhere elsewhere) {
  if (const auto owner = TRY(host.machines().instances().owner_of(id))) return used_by(id, owner->id);
  const HeldVolume held = TRY(host.attachments().hold_unattached(id));
  Status removed = host.volumes().remove(id, elsewhere);
  if (!is(removed, ErrorCode::kBusy)) return removed;
  const auto closed = ask(host.repo().host().overlays(), CloseVolume{id});
  if (closed.ok()) return host.volumes().remove(id);
  return is(closed, ErrorCode::kNotFound) ? std::move(removed) : Status(closed.error());
}

Result<CaptureReport> snapshot_volume(Host& host, const Caller& caller,
                                      const SnapshotVolumeRequest& request) {
  const SnapshotVolume how{request.name, request.description, request.tags};
  CaptureReport report = TRY(TRY(access(host, request.volume))->snapshot(how, caller.notices, caller.stop));
  for (const std::string& warning : report.warnings) caller.notices.warn(warning);
  return report;
}

Result<VolumeState> hydrate_volume(Host& host, const Caller& caller, VolumeId id,
                                   std::uint64_t bytes_per_second) {
  return TRY(access(host, id))->hydrate(bytes_per_second, caller.notices, caller.stop);
}

Result<std::string> detach_from_store(Host& host, const Caller& /*caller*/, VolumeId id) {
  return TRY(access(host, id))->detach();
}

Result<VolumeAddress> locate_volume(Host& host, const Caller& /*caller*/, VolumeId id) {
  TRY(host.volumes().catalog().get(id));
  VolumeServer& server = host.server();
  if (auto at = TRY(server.open_if_running(id))) return VolumeAddress{*std::move(at), {}};
  return VolumeAddress{{server.socket(), id.text()}, server.command()};
}

// The volume is held, so that no machine is started on it between the question and the note.
Result<Attachment> attach_volume(Host& host, const Caller& /*caller*/, VolumeId id) {
  TRY(host.volumes().catalog().get(id));
  HeldVolume held = TRY(host.attachments().hold(id));
  TRY(refuse_if_running(host, id));
  const AttachMethod method = TRY(choose_attach_method());
  return held.attach(method, TRY(host.server().open(id)));
}

Result<std::optional<Attachment>> release_volume(Host& host, const Caller& /*caller*/, VolumeId id) {
  return TRY(host.attachments().hold(id)).release();
}

}  // namespace ashlar
