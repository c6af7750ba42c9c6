"""The planted flaws: mistakes that a tired developer could make, each with the battery that has to catch it.

A flaw replaces texts of the engine's sources by others that ask planted("name"), so that it acts only when it is
chosen. FLAWS and BATTERIES are all that plant.py and score.py know.
"""
from typing import NamedTuple


class Battery(NamedTuple):
    program: str  # a target of CMakeLists.txt here
    tests: str  # a filter of GoogleTest


class Flaw(NamedTuple):
    name: str
    what: str
    battery: str  # a key of BATTERIES
    edits: list  # of (file below engine/, text that it has once, new text)
    tests: str = ""  # the part of the battery that catches it; nothing: all of it


BATTERIES = {
    "crash states": Battery("flow_batteries", "CrashStates.*"),
    "failing operations": Battery("flow_batteries", "CrashFlow.*"),
    "failing reads": Battery("flow_batteries", "FailingReadsFlow.*"),
    "failing calls": Battery("image_batteries", "FailingCall.*"),
    "interleavings of snapshots": Battery("image_batteries", "Interleaving.*"),
    "interleavings of names": Battery("image_batteries", "NameInterleaving.NoLateWriteReachesALaterRecord"),
    "interleavings of collections": Battery("collect_batteries", "CollectInterleaving.*"),
    "collections": Battery("collect_batteries", "Collecting.*"),
    "sessions": Battery("catalog_batteries", "Sessions.*"),
    "snapshots": Battery("catalog_batteries", "Snapshots.*"),
    "rot": Battery("flow_batteries", "Rot.*"),
    "known damage": Battery("flow_batteries", "KnownDamageFlow.*"),
    "repair": Battery("flow_batteries", "RepairFlow.*"),
    "second place": Battery("flow_batteries", "SecondPlaceFlow.*"),
    "packs and blocks": Battery("store_batteries", "Appending.*:Leaning.*:BlocksOfALeaf.*:StoredSegments.*:SegmentInTwoPacks.*"),
    "overlay": Battery("volume_batteries", "OverlayModelTest.*"),
    "volumes": Battery("flow_batteries", "VolumeModel.*"),
    "copies": Battery("flow_batteries", "CopyFlow.*"),
    "bundles": Battery("flow_batteries", "Bundles.*"),
    "sources": Battery("source_batteries", "FileSource.*"),
}

FLAWS = [
    # The order in which things become durable.
    Flaw("no-directory-sync", "a name is not made durable before the next step", "crash states",
         [("io/local_object_store.cc",
           "  if (lasts == Lasts::kWhilePowered) return {};\n",
           '  if (lasts == Lasts::kWhilePowered || planted("no-directory-sync")) return {};\n')],
         "CrashStates.Purge"),
    Flaw("new-folder-not-synced", "the name of a new folder is not made durable", "crash states",
         [("io/local_object_store.cc",
           "    TRY(files.sync_directory(parent));\n",
           '    if (!planted("new-folder-not-synced")) TRY(files.sync_directory(parent));\n')],
         "CrashStates.Init"),
    Flaw("record-not-synced", "the bytes of a record are not synced before it gets its name", "crash states",
         [("io/local_object_store.cc",
           "    return file->sync();\n  };\n",
           '    return planted("record-not-synced") ? Status() : file->sync();\n  };\n')],
         "CrashStates.Delete"),
    Flaw("pack-not-synced", "the bytes of a pack are not synced before it gets its name", "crash states",
         [("io/local_object_store.cc",
           "    TRY(file_->sync());\n    return state_->publish(",
           '    if (!planted("pack-not-synced")) TRY(file_->sync());\n    return state_->publish(')],
         "CrashStates.Init"),
    Flaw("ack-before-record", "a commit is acknowledged before the record is durable", "crash states",
         [("catalog/snapshots.cc",
           "objects_.replace(key_of(id), bytes_of(before), TRY(checked_bytes(now)));",
           "objects_.replace(key_of(id), bytes_of(before), TRY(checked_bytes(now)),\n"
           '      planted("ack-before-record") ? Lasts::kWhilePowered : Lasts::kForEver);')],
         "CrashStates.Init"),
    Flaw("leaned-not-durable", "packs of others that a snapshot relies on are not made durable", "crash states",
         [("capture/capture.cc",
           '  return parts.objects.ensure_durable(needed).with_context("an object that the snapshot needs");\n',
           '  if (planted("leaned-not-durable")) return {};\n'
           '  return parts.objects.ensure_durable(needed).with_context("an object that the snapshot needs");\n')],
         "CrashStates.Capture"),
    Flaw("image-before-snapshots", "an image is published before its snapshots are durable", "crash states",
         [("image/register.cc",
           "  TRY(snapshots.ensure_durable(snapshots_of(wanted)));\n",
           '  if (!planted("image-before-snapshots")) TRY(snapshots.ensure_durable(snapshots_of(wanted)));\n')],
         "CrashStates.CreateImage"),
    Flaw("users-not-durable", "a snapshot is deleted before the end of its users is durable", "crash states",
         [("image/deletion.cc",
           '  TRY(objects.ensure_durable(folders).with_context("make records durable"));\n',
           '  if (!planted("users-not-durable"))\n'
           '    TRY(objects.ensure_durable(folders).with_context("make records durable"));\n')],
         "CrashStates.Delete"),
    Flaw("index-before-blobs", "the index of an OCI layout names blobs whose names are not durable", "crash states",
         [("transfer/layout_writer.cc",
           "  TRY(files_.sync_directory(path(std::string(kBlobs))));\n",
           '  if (!planted("index-before-blobs")) TRY(files_.sync_directory(path(std::string(kBlobs))));\n')],
         "CrashStates.Export"),
    Flaw("part-not-synced", "the parts of an OCI layout are not synced", "crash states",
         [("transfer/layout_writer.cc",
           "  TRY(file_->sync());\n  file_.reset();\n",
           '  if (!planted("part-not-synced")) TRY(file_->sync());\n  file_.reset();\n')],
         "CrashStates.Export"),
    Flaw("copy-not-durable", "a copy relies on packs of the target that are not durable", "crash states",
         [("transfer/copy.cc",
           '    TRY(target_.objects.ensure_durable(leaned_.keys()).with_context("a pack that the copy needs"));\n',
           '    if (!planted("copy-not-durable"))\n'
           '      TRY(target_.objects.ensure_durable(leaned_.keys()).with_context("a pack that the copy needs"));\n')],
         "CrashStates.Copy:CrashStates.Import"),
    Flaw("sync-error-ignored", "a pack is published although its sync failed", "failing operations",
         [("io/local_object_store.cc",
           "    finished_ = true;\n",
           "    finished_ = true;\n"
           '    if (planted("sync-error-ignored")) {\n'
           "      best_effort(file_->sync());\n"
           "      return state_->publish(incoming_, key_, Lasts::kForEver);\n"
           "    }\n")],
         "CrashFlow.AFailedOperationFailsTheCaptureAndLosesNothing"),
    Flaw("index-before-pack", "the index learns of a pack before the pack is published",
         "packs and blocks",
         [("store/pack_appender.cc",
           "  TRY(pack_->finish());\n  std::vector<PackedSegment> segments;\n",
           '  if (!planted("index-before-pack")) TRY(pack_->finish());\n  std::vector<PackedSegment> segments;\n'),
          ("store/pack_appender.cc",
           "  TRY(index_.add_data_pack(pack_->id(), segments));\n",
           "  TRY(index_.add_data_pack(pack_->id(), segments));\n"
           '  if (planted("index-before-pack")) TRY(pack_->finish());\n')]),

    # The commit.
    Flaw("commit-by-put", "the commit replaces whatever the key holds", "interleavings of snapshots",
         [("catalog/snapshots.cc",
           "  Status done = change(open, record);\n  if (done.ok()) return {};\n",
           '  const auto found = planted("commit-by-put") ? read(open.id) : Result<SnapshotObject>(open);\n'
           "  Status done = change(found.ok() ? found.value() : SnapshotObject(open), record);\n"
           "  if (done.ok()) return {};\n")]),
    Flaw("unknown-is-no", "a commit whose answer was lost is reported as refused", "interleavings of snapshots",
         [("catalog/snapshots.cc",
           "  Status swept = sweep(open);\n",
           '  if (planted("unknown-is-no")) return done;\n  Status swept = sweep(open);\n')]),
    Flaw("unknown-is-yes", "a commit whose answer was lost is reported as done", "interleavings of snapshots",
         [("catalog/snapshots.cc",
           "  if (is(done, ErrorCode::kBusy) || is(done, ErrorCode::kNotFound))\n    return busy(\n",
           '  if (planted("unknown-is-yes") && is(done, ErrorCode::kIo)) return {};\n'
           "  if (is(done, ErrorCode::kBusy) || is(done, ErrorCode::kNotFound))\n    return busy(\n")]),
    Flaw("same-bytes-twice", "a snapshot that comes back has the bytes that it had before", "snapshots",
         [("catalog/snapshots.cc",
           "  record.incarnation = binned.incarnation + 1;\n",
           '  record.incarnation = planted("same-bytes-twice") ? record.incarnation : binned.incarnation + 1;\n')]),
    Flaw("purge-without-cas", "a purge removes what was restored since it looked", "interleavings of snapshots",
         [("catalog/snapshots.cc",
           "  TRY(change(binned, purged));\n",
           '  const auto found = planted("purge-without-cas") ? read(binned.id) : Result<SnapshotObject>(binned);\n'
           "  TRY(change(found.ok() ? found.value() : SnapshotObject(binned), purged));\n")]),
    Flaw("no-second-look-at-users", "a deletion looks for users before, and not after", "interleavings of snapshots",
         [("image/deletion.cc",
           "  const auto after = SnapshotUsers::read(objects);\n",
           '  if (planted("no-second-look-at-users")) return done;\n'
           "  const auto after = SnapshotUsers::read(objects);\n")]),
    Flaw("no-second-look-at-snapshots", "an image does not look for its snapshots after it is published",
         "interleavings of snapshots",
         [("image/register.cc",
           "    auto still = snapshots.get(id);\n    if (still.ok()) continue;\n",
           "    auto still = snapshots.get(id);\n"
           '    if (still.ok() || planted("no-second-look-at-snapshots")) continue;\n')]),
    Flaw("name-not-confirmed", "an image does not check that it holds its name after it is published",
         "interleavings of names",
         [("catalog/images.cc",
           "  Status ours = confirm(record);\n",
           '  Status ours = planted("name-not-confirmed") ? Status() : confirm(record);\n')]),
    Flaw("name-not-confirmed-again", "an image that comes back does not check that it holds its name",
         "interleavings of names",
         [("catalog/images.cc",
           "  Status ours = comes_back ? confirm(now) : Status();\n",
           '  Status ours = comes_back && !planted("name-not-confirmed-again") ? confirm(now) : Status();\n')]),
    Flaw("freed-by-delete", "the record of a name is deleted, and made again under the same key",
         "interleavings of names",
         [("catalog/record_folder.h",
           "      Status freed = objects_.replace(key, bytes_of(record), encode_free(record.revision + 1));\n",
           '      if (planted("freed-by-delete")) return objects_.remove(key);\n'
           "      Status freed = objects_.replace(key, bytes_of(record), encode_free(record.revision + 1));\n")]),
    Flaw("unread-session-has-no-base", "a session that can't be read counts as one that stands on nothing",
         "failing calls",
         [("image/deletion.cc",
           "gone.state == GoneState::kPurged && (!unread.empty() || bases.contains(gone.id));\n",
           "gone.state == GoneState::kPurged &&\n"
           "                             ((!unread.empty() && !planted(\"unread-session-has-no-base\")) ||\n"
           "                              bases.contains(gone.id));\n")]),

    # Sessions.
    Flaw("commit-without-beat", "a commit does not look whether the session was taken away", "sessions",
         [("catalog/sessions.cc",
           "  TRY(beat());\n  const std::lock_guard guard(mutex_);\n",
           '  if (!planted("commit-without-beat")) TRY(beat());\n  const std::lock_guard guard(mutex_);\n')]),
    Flaw("beat-on-fresh-read", "a beat replaces what it reads, not the writer's own last beat", "sessions",
         [("catalog/sessions.cc",
           "  Status done = objects_.replace(key_of(id_), encode(record_), encode(*beating_), Lasts::kWhilePowered);\n",
           '  const auto fresh = planted("beat-on-fresh-read") ? find_session(objects_, id_)\n'
           "                                                   : Result<SessionRecord>(record_);\n"
           "  Status done = objects_.replace(key_of(id_), encode(fresh.ok() ? fresh.value() : record_),\n"
           "                                 encode(*beating_), Lasts::kWhilePowered);\n")]),
    Flaw("base-not-named", "a session does not name the snapshot that it stands on", "collections",
         [("catalog/sessions.cc",
           "  record.bases = std::move(plan.bases);\n",
           '  if (!planted("base-not-named")) record.bases = std::move(plan.bases);\n')]),
    Flaw("revoked-not-swept", "the open snapshots of a session that is taken away are left",
         "interleavings of snapshots",
         [("catalog/sessions.cc",
           "  TRY(sweep_open(objects, now.id, now.open_snapshots));\n",
           '  if (!planted("revoked-not-swept")) TRY(sweep_open(objects, now.id, now.open_snapshots));\n')]),
    Flaw("purge-takes-bases", "a purge removes what an open session stands on", "collections",
         [("image/deletion.cc",
           "      if (!session.has_ended()) bases.insert(session.bases.begin(), session.bases.end());\n",
           '      if (!session.has_ended() && !planted("purge-takes-bases"))\n'
           "        bases.insert(session.bases.begin(), session.bases.end());\n")]),
    Flaw("other-host-is-dead", "a session of another host counts as dead", "sessions",
         [("catalog/sessions.cc",
           "  if (session.host != pid_namespace_name() || session.boot != self.boot) return false;\n",
           "  if (session.host != pid_namespace_name() || session.boot != self.boot)\n"
           '    return planted("other-host-is-dead");\n')]),

    # Collection.
    Flaw("state-before-session", "a writer looks at the collection before its session can be seen",
         "sessions",
         [("catalog/sessions.cc",
           "  SessionRecord record = TRY(new_record(store, std::move(plan)));\n",
           "  SessionRecord record = TRY(new_record(store, std::move(plan)));\n"
           '  const bool has_looked = planted("state-before-session");\n'
           "  if (has_looked) record.epoch = TRY(CollectionCatalog(objects).state()).epoch;\n"),
          ("catalog/sessions.cc",
           "  if (TRY(CollectionCatalog(objects).state()).epoch != 0) TRY(session->beat());\n",
           "  if (!has_looked && TRY(CollectionCatalog(objects).state()).epoch != 0) TRY(session->beat());\n")]),
    Flaw("mark-from-old-list", "what lives is not marked again before packs are freed",
         "interleavings of collections",
         [("collect/collect.cc",
           "    TRY(mark_roots());\n    TRY(keep_what_lives());\n",
           '    if (!planted("mark-from-old-list")) TRY(mark_roots());\n    TRY(keep_what_lives());\n')]),
    Flaw("no-last-check", "what a pack holds is not looked for elsewhere before it is freed",
         "interleavings of collections",
         [("collect/collect.cc",
           "      if (!TRY(check.may_be_freed(pack, stop_))) needed.push_back(pack);\n",
           '      if (!planted("no-last-check") && !TRY(check.may_be_freed(pack, stop_))) needed.push_back(pack);\n')]),
    Flaw("elsewhere-is-condemned", "a pack is freed because another condemned pack has the same", "collections",
         [("collect/last_check.cc",
           "    if (condemned_.contains(place.pack)) continue;\n"
           "    const auto pack = WholePackReader::open(objects_, PackKind::kData",
           '    if (condemned_.contains(place.pack) && !planted("elsewhere-is-condemned")) continue;\n'
           "    const auto pack = WholePackReader::open(objects_, PackKind::kData")]),
    Flaw("no-barrier", "a collection does not wait until writers have seen its list",
         "interleavings of collections",
         [("collect/collect.cc",
           "    TRY(wait_for_writers());\n",
           '    if (!planted("no-barrier")) TRY(wait_for_writers());\n')]),
    Flaw("keeps-ignored", "packs that a writer keeps are freed", "collections",
         [("collect/collect.cc",
           "          keep(session.keeps);\n",
           '          if (!planted("keeps-ignored")) keep(session.keeps);\n')]),
    Flaw("no-keeps", "a writer does not tell which packs it relies on", "collections",
         [("pack/leaned_packs.cc",
           "    if (leaned_.contains(pack) || written_by(pack, session_)) kept.push_back(pack);\n",
           "    if (leaned_.contains(pack) || written_by(pack, session_)) {\n"
           '      if (!planted("no-keeps")) kept.push_back(pack);\n'
           "    }\n")]),
    Flaw("condemned-ignored", "a writer relies on packs of the list of condemned ones",
         "collections",
         [("pack/leaned_packs.cc",
           "    if (condemned_.contains(pack)) return false;\n  }\n",
           '    if (condemned_.contains(pack) && !planted("condemned-ignored")) return false;\n  }\n'),
          ("pack/leaned_packs.cc",
           "  if (condemned_.contains(pack)) return false;\n  leaned_.emplace",
           '  if (condemned_.contains(pack) && !planted("condemned-ignored")) return false;\n  leaned_.emplace')]),
    Flaw("no-session-roots", "a purged snapshot that a session stands on is not a root",
         "collections",
         [("collect/collect.cc",
           "    if (gone != nullptr && gone->state == GoneState::kPurged) return gone->record ? &*gone->record : nullptr;\n",
           "    if (gone != nullptr && gone->state == GoneState::kPurged)\n"
           '      return gone->record && !planted("no-session-roots") ? &*gone->record : nullptr;\n')]),
    Flaw("bin-is-no-root", "a snapshot in the bin is not a root", "interleavings of collections",
         [("collect/collect.cc",
           "    return record_of(object);\n",
           '    return gone != nullptr && planted("bin-is-no-root") ? nullptr : record_of(object);\n')]),
    Flaw("free-without-cas", "a collector that was taken over frees its packs", "collections",
         [("collect/collect.cc",
           "    TRY(advance(free));\n",
           '    if (planted("free-without-cas")) {\n'
           "      TRY(remove({condemned_.begin(), condemned_.end()}));\n"
           "    }\n"
           "    TRY(advance(free));\n")]),
    Flaw("unread-session-is-none", "a session that can't be read holds no collection up", "collections",
         [("collect/collect.cc",
           "    if (unread.empty()) return sessions;\n",
           '    if (unread.empty() || planted("unread-session-is-none")) return sessions;\n')]),
    Flaw("pack-not-looked-for", "a writer relies on a pack without a look whether it is there",
         "packs and blocks",
         [("pack/leaned_packs.cc",
           "  if (is(found, ErrorCode::kNotFound)) return false;\n",
           '  if (is(found, ErrorCode::kNotFound)) return planted("pack-not-looked-for");\n')]),

    # Damage.
    Flaw("healed-from-record-only", "a repair does not look for packs that are gone", "repair",
         [("repair/needs.cc",
           "  return SegmentNeed{wanted, {}};\n",
           '  return SegmentNeed{planted("healed-from-record-only") ? SegmentBlocks() : wanted, {}};\n')]),
    Flaw("lost-not-recorded", "what is found nowhere is not recorded as lost", "repair",
         [("repair/repair.cc",
           "        if (!has_doubt_) TRY(record_lost(needs));\n",
           '        if (!has_doubt_ && !planted("lost-not-recorded")) TRY(record_lost(needs));\n')]),
    Flaw("damaged-pack-stays", "a collection leaves packs with damage that is healed", "repair",
         [("collect/collection_plan.cc",
           "!is_low && !use.has_damage)",
           '!is_low && (!use.has_damage || planted("damaged-pack-stays")))')]),
    Flaw("unreadable-is-free", "a pack that can't be read counts as one that nothing needs", "repair",
         [("collect/survey.cc",
           "  unread.is_damaged = is(use, ErrorCode::kCorrupt);\n",
           '  unread.is_damaged = is(use, ErrorCode::kCorrupt) && !planted("unreadable-is-free");\n'),
          ("collect/last_check.cc",
           "  if (is(checked, ErrorCode::kCorrupt)) return all_is_elsewhere(pack.id, stop);\n",
           '  if (is(checked, ErrorCode::kCorrupt) && planted("unreadable-is-free")) return true;\n'
           "  if (is(checked, ErrorCode::kCorrupt)) return all_is_elsewhere(pack.id, stop);\n")]),
    Flaw("damage-ignored", "frames that are known to be damaged are relied on", "known damage",
         [("store/damaged_frames.cc",
           "  if (record->is_whole) return ~FrameSet();\n  const auto found = record->segments.find(segment);\n"
           "  return found == record->segments.end() ? FrameSet() : found->second.damaged;\n",
           '  if (planted("damage-ignored")) return {};\n'
           "  if (record->is_whole) return ~FrameSet();\n  const auto found = record->segments.find(segment);\n"
           "  return found == record->segments.end() ? FrameSet() : found->second.damaged;\n")]),
    Flaw("damage-not-recorded", "damage that a read finds is not recorded", "known damage",
         [("store/damaged_frames.cc",
           "  const auto stored = catalog_.add(finding);\n",
           '  if (planted("damage-not-recorded")) return;\n  const auto stored = catalog_.add(finding);\n')]),
    Flaw("damage-meanwhile-ignored", "damage that is found while a capture runs does not stop its commit",
         "known damage",
         [("capture/capture.cc",
           "  TRY(check_still_sound(parts, began, leaned));\n",
           '  if (!planted("damage-meanwhile-ignored")) TRY(check_still_sound(parts, began, leaned));\n')]),
    Flaw("rotten-record-ignored", "a damaged record of damage counts as none", "known damage",
         [("store/damaged_frames.cc",
           "      stored.emplace(pack, whole(pack));\n",
           '      if (!planted("rotten-record-ignored")) stored.emplace(pack, whole(pack));\n')]),
    Flaw("frames-not-decoded", "verify trusts the checksum in the directory and does not look at the frames", "rot",
         [("scrub/pack_check.cc",
           "    if (decoded.ok()) continue;\n",
           '    if (decoded.ok() || planted("frames-not-decoded")) continue;\n')]),
    Flaw("record-of-another", "a record under the key of another snapshot is believed", "snapshots",
         [("catalog/snapshots.cc",
           "  if (id_of(object.value()) != id)\n",
           '  if (id_of(object.value()) != id && !planted("record-of-another"))\n')]),
    Flaw("bad-sector-is-damage", "a read that fails is called damage", "failing reads",
         [("scrub/pack_check.cc",
           "    faults.push_back(segment_fault(object, segment.place.entry, read.error()));\n    return;\n",
           '    if (!planted("bad-sector-is-damage")) {\n'
           "      faults.push_back(segment_fault(object, segment.place.entry, read.error()));\n"
           "      return;\n"
           "    }\n")]),

    # Dedup: the blocks that count as known.
    Flaw("known-by-segment", "all blocks of a segment count as stored where its pack lacks frames",
         "packs and blocks",
         [("store/segments.cc",
           "      SegmentBlocks present = found->present;\n",
           "      SegmentBlocks present = found->present;\n"
           '      if (planted("known-by-segment")) present = block_set(0, found->directory.blocks.size());\n')]),
    Flaw("absent-block-admitted", "a block of an absent frame is taken for a duplicate", "known damage",
         [("store/known_blocks.cc",
           "    if (present[i]) insert(",
           '    if (present[i] || planted("absent-block-admitted")) insert(')]),
    Flaw("parent-trusted", "a leaf of the parent is kept without a look at its packs", "second place",
         [("capture/capture.cc",
           "[this](const Leaf& leaf) { return stored_.has(leaf); }",
           "[this](const Leaf& leaf) -> Result<bool> {\n"
           '              if (planted("parent-trusted")) return true;\n'
           "              return stored_.has(leaf);\n"
           "            }")],
         "SecondPlaceFlow.ACaptureOverDamagedDataPacksCanBeRestored"),
    Flaw("ends-not-checked", "a pack is relied on without a look at its header and trailer", "second place",
         [("store/segments.cc",
           "  TRY(WholePackReader::open(state_->objects, PackKind::kData, id));\n",
           '  if (!planted("ends-not-checked"))\n'
           "    TRY(WholePackReader::open(state_->objects, PackKind::kData, id));\n")],
         "SecondPlaceFlow.ACaptureOverDamagedDataPacksCanBeRestored"),
    Flaw("node-not-read", "a node counts as stored because the index says so", "second place",
         [("store/meta_store.cc",
           "    if (!TRY(may_lean_on(place))) continue;\n",
           '    if (planted("node-not-read")) return true;\n'
           "    if (!TRY(may_lean_on(place))) continue;\n")],
         "SecondPlaceFlow.ACaptureOverDamagedNodesCanBeRestored"),
    Flaw("unread-is-absent", "a pack that can't be read just now counts as one without the block", "packs and blocks",
         [("store/stored_blocks.cc",
           "    if (is_not_to_rely_on(sound.error())) return false;\n",
           '    if (is_not_to_rely_on(sound.error()) || planted("unread-is-absent")) return false;\n')]),

    # Reads.
    Flaw("first-place-only", "a read looks at one place of a segment only", "packs and blocks",
         [("store/segments.cc",
           "  return read_elsewhere(segment, first, count, out, read.error());\n",
           '  if (planted("first-place-only")) return read.error();\n'
           "  return read_elsewhere(segment, first, count, out, read.error());\n")],
         "SegmentInTwoPacks.*"),
    Flaw("index-not-looked-at-again", "a reader does not look for packs that were stored after it opened",
         "second place",
         [("store/segments.cc",
           "  PlaceErrors errors;\n  for (const bool caught_up : {false, true}) {\n"
           "    if (caught_up) TRY(state_->index.look_again(id));\n"
           "    for (const SegmentPlace& place : TRY(state_->index.segment_places(id))) {\n"
           "      auto segment = read_directory(place);\n",
           "  PlaceErrors errors;\n  for (const bool caught_up : {false, true}) {\n"
           '    if (caught_up && !planted("index-not-looked-at-again")) TRY(state_->index.look_again(id));\n'
           "    for (const SegmentPlace& place : TRY(state_->index.segment_places(id))) {\n"
           "      auto segment = read_directory(place);\n"),
          ("store/meta_store.cc",
           "      if (caught_up) TRY(index.look_again(id));\n",
           '      if (caught_up && !planted("index-not-looked-at-again")) TRY(index.look_again(id));\n')],
         "SecondPlaceFlow.AReaderFindsWhatAnotherProcessStoredAfterItOpened"),
    Flaw("zeros-for-missing", "data that can't be read reads as zeros", "known damage",
         [("store/segments.cc",
           "  const Status read = read_at(segment, first, count, out);\n  if (read.ok()) return {};\n",
           "  const Status read = read_at(segment, first, count, out);\n  if (read.ok()) return {};\n"
           '  if (planted("zeros-for-missing")) {\n'
           "    std::memset(out.data(), 0, out.size());\n"
           "    return {};\n"
           "  }\n")],
         "KnownDamageFlow.AReadThatFindsItRecordsIt"),
    Flaw("frame-not-compared", "blocks of a frame are not compared with their ids", "packs and blocks",
         [("store/segments.cc",
           "    if (block_id(blocks.subspan(i * kBlockBytes, kBlockBytes)) != segment.directory.blocks[first + i]) {\n",
           '    if (!planted("frame-not-compared") &&\n'
           "        block_id(blocks.subspan(i * kBlockBytes, kBlockBytes)) != segment.directory.blocks[first + i]) {\n")]),
    Flaw("short-read-accepted", "a read that returns less than was asked for counts as whole", "sources",
         [("source/pread_reader.cc",
           "  if (outcome.bytes < out.size()) {\n",
           '  if (outcome.bytes < out.size() && !planted("short-read-accepted")) {\n')]),

    # The overlay of a volume.
    Flaw("map-before-data", "the map of an overlay is written before the data is synced", "overlay",
         [("volume/overlay_flush.cc",
           "    if (Status synced = data->sync(); !synced.ok()) {\n",
           '    if (Status synced = planted("map-before-data") ? Status() : data->sync(); !synced.ok()) {\n')]),
    Flaw("retried-sync", "a flush that failed succeeds when it is tried again", "overlay",
         [("volume/overlay_flush.cc",
           "      poisoned = true;\n",
           '      poisoned = !planted("retried-sync");\n')]),
    Flaw("map-not-synced", "a flush returns before the map is durable", "overlay",
         [("volume/overlay_map_file.cc",
           "  if (written.ok()) written = file_->sync();\n",
           '  if (written.ok() && !planted("map-not-synced")) written = file_->sync();\n')]),
    Flaw("new-map-not-synced", "a map that is written anew gets its name before its bytes are durable", "overlay",
         [("volume/overlay_map_file.cc",
           "  TRY(file->sync());\n  return file;\n",
           '  if (!planted("new-map-not-synced")) TRY(file->sync());\n  return file;\n')]),
    Flaw("clean-not-marked", "a clean block is written without a mark in the map", "overlay",
         [("volume/overlay_write.cc",
           "  return chunk != nullptr && !chunk->opened && chunk->any(piece.first, piece.end, BlockHold::kClean);\n",
           '  return !planted("clean-not-marked") && chunk != nullptr && !chunk->opened &&\n'
           "         chunk->any(piece.first, piece.end, BlockHold::kClean);\n")]),
    Flaw("view-not-kept", "a block changes under a view that needs it", "overlay",
         [("volume/overlay_view.cc",
           "  if (!stripe.view_open) return;\n",
           '  if (!stripe.view_open || planted("view-not-kept")) return;\n')]),
    Flaw("touched-turns-clean", "a block that changed under a view counts as equal to the snapshot", "overlay",
         [("volume/overlay_view.cc",
           "          [kept](std::size_t block) { return kept == nullptr || !kept->touched.test(block); },\n",
           "          [kept](std::size_t block) {\n"
           '            return planted("touched-turns-clean") || kept == nullptr || !kept->touched.test(block);\n'
           "          },\n")]),
    Flaw("zeros-not-punched", "a zero block turns clean over the bytes that lie under it", "overlay",
         [("volume/overlay_view.cc",
           "            if (run.hold == BlockHold::kZero && !punch(stripe, piece.chunk, first, last).ok()) return;\n",
           '            if (run.hold == BlockHold::kZero && !planted("zeros-not-punched") &&\n'
           "                !punch(stripe, piece.chunk, first, last).ok())\n"
           "              return;\n")]),
    Flaw("edge-over-zeros", "a part of a zero block is written over the bytes that lie under it", "volumes",
         [("volume/overlay_write.cc",
           "  if (chunk == nullptr || chunk->get(piece.first) != BlockHold::kZero)\n",
           '  if (chunk == nullptr || chunk->get(piece.first) != BlockHold::kZero || planted("edge-over-zeros"))\n')]),

    # Transfers.
    Flaw("digest-not-checked", "a copy does not check that a leaf holds what its digest says", "copies",
         [("transfer/copy.cc",
           "    TRY(check_digest(leaf, block_marks_));\n",
           '    if (!planted("digest-not-checked")) TRY(check_digest(leaf, block_marks_));\n')]),
    Flaw("bundle-trusted", "the segments of a bundle are not checked", "bundles",
         [("transfer/bundle_reader.cc",
           '      return check_frames(*located, window_[i].payload).with_context("bundle");\n',
           '      if (planted("bundle-trusted")) return {};\n'
           '      return check_frames(*located, window_[i].payload).with_context("bundle");\n')]),
    Flaw("bundle-leaf-trusted", "the leaves of a bundle are not checked against their blocks", "bundles",
         [("transfer/bundle_reader.cc",
           "    return check_digest(leaf, staging_);\n",
           "    Status right = check_digest(leaf, staging_);\n"
           '    if (planted("bundle-leaf-trusted")) right = {};\n'
           "    return right;\n")]),
    Flaw("copy-knows-by-segment", "a copy leaves out a segment of which the target lacks frames",
         "known damage",
         [("transfer/copy.cc",
           "    if (TRY(there_.has(segment, blocks))) return {};\n",
           '    if (TRY(there_.has(segment, planted("copy-knows-by-segment") ? SegmentBlocks() : blocks))) return {};\n')]),
]
