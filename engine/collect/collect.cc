#include "collect/collect.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "base/parallel.h"
#include "catalog/collections.h"
#include "catalog/sessions.h"
#include "catalog/traces.h"
#include "collect/last_check.h"
#include "collect/rewriter.h"
#include "image/deletion.h"
#include "image/snapshot_users.h"
#include "store/meta_store.h"

namespace ashlar {
namespace {

class Collection {
 public:
  Collection(const CollectParts& parts, const CollectOptions& options, CollectProgress& progress,
             const std::stop_token& stop)
      : parts_(parts),
        options_(options),
        progress_(progress),
        stop_(stop),
        pace_(options.bytes_per_second),
        nodes_(parts.objects, parts.index, &parts.damage),
        segments_(parts.objects, parts.index, &parts.damage),
        live_(nodes_),
        survey_(parts.objects, parts.index, segments_, parts.damage, live_, pace_) {}

  Result<CollectReport> plan_only() {
    TRY(judge());
    return std::move(report_);
  }

  Result<CollectReport> run() {
    session_ = TRY(Session::begin(parts_.objects, parts_.config.id, {}));
    TRY(take());
    // Ends what deletions and dead writers left half done.
    TRY(purge_bin(parts_.objects, UtcTime{0}));
    TRY(judge());
    TRY(rewrite());
    if (condemned_.empty()) return finish();
    TRY(condemn());
    TRY(wait_for_writers());
    TRY(mark_roots());
    TRY(keep_what_lives());
    TRY(free_rest());
    return finish();
  }

 private:
  // Takes the store's collection over: from no one, or from a program that is gone. One that was freeing its
  // packs had proven that nothing needs them, so they are freed first.
  Status take() {
    state_ = TRY(collections_.state());
    if (!state_.collector.is_zero() && TRY(list_living_sessions(parts_.objects)).contains(state_.collector))
      return busy(fmt::format("session {} collects this store", state_.collector.hex()))
          .about(ErrorKind::kSessionBeats, state_.collector.hex());
    CollectionState mine = state_;
    mine.store = parts_.config.id;
    mine.collector = session_->id();
    if (state_.phase == CollectionPhase::kBarrier) {
      mine.phase = CollectionPhase::kIdle;
      mine.list = {};
    }
    TRY(advance(mine));
    if (state_.phase != CollectionPhase::kFree) return {};
    const auto list = collections_.list_of(state_);
    if (!list.ok() && !is(list, ErrorCode::kNotFound)) return list.error();
    if (list.ok()) TRY(remove(list.value().packs));
    return become_idle(session_->id());
  }

  Status advance(const CollectionState& now) {
    state_ = TRY(collections_.advance(state_, now));
    return {};
  }
  Status become_idle(const SessionId& collector) {
    CollectionState idle = state_;
    idle.phase = CollectionPhase::kIdle;
    idle.list = {};
    idle.collector = collector;
    return advance(idle);
  }

  // Decides about each pack. The packs are listed before the sessions and these before the snapshots: a pack
  // that is listed was written by a session that is seen, or has published, or has ended.
  Status judge() {
    std::vector<std::pair<PackName, std::uint64_t>> packs;
    for (const PackKind kind : {PackKind::kMeta, PackKind::kData}) {
      for (const ListedPack& pack : TRY(list_packs(parts_.objects, kind))) {
        packs.push_back({{kind, pack.id}, pack.bytes});
        progress_.total_bytes += pack.bytes;
      }
    }
    const std::vector<SessionRecord> sessions = TRY(mark_roots());
    TRY(parts_.index.catch_up());
    TRY(parts_.damage.refresh());
    std::vector<PackUse> uses(packs.size());
    const unsigned threads = options_.threads == 0 ? processor_count() : options_.threads;
    TRY(parallel_for(packs.size(), threads, stop_, [&](std::size_t i) -> Status {
      progress_.done_bytes += packs[i].second;
      uses[i] = TRY(use_of(packs[i].first, packs[i].second, sessions));
      return {};
    }));
    std::erase_if(uses, &PackUse::is_gone);
    TRY(judge_unreadable(uses));
    report_.plan = plan_collection(std::move(uses), options_.max_live_percent);
    report_.nodes = live_.nodes();
    for (const SessionRecord& session : sessions) {
      if (session.has_ended()) ended_.push_back(session);
    }
    for (const PlannedPack& pack : report_.plan.packs) {
      if (pack.verdict == Verdict::kDamaged)
        report_.warnings.push_back(
            fmt::format("{} is damaged, and stays until what is needed of it is healed",
                        pack_key(pack.use.pack.kind, pack.use.pack.id)));
      if (pack.verdict == Verdict::kFree) condemned_.insert(pack.use.pack);
    }
    return {};
  }

  // A pack that can't be read whole may hold anything. It is not needed when all that is needed is elsewhere.
  Status judge_unreadable(std::vector<PackUse>& uses) {
    std::set<PackId> unreadable;
    for (const PackUse& use : uses) {
      if (use.is_unreadable) unreadable.insert(use.pack.id);
    }
    if (unreadable.empty() || !TRY(survey_.is_all_outside(unreadable, stop_))) return {};
    for (PackUse& use : uses) use.is_damaged = use.is_damaged && !use.is_unreadable;
    return {};
  }

  // The packs of an open session are not looked into.
  Result<PackUse> use_of(const PackName& pack, std::uint64_t bytes,
                         const std::vector<SessionRecord>& sessions) {
    const SessionRecord* writer = writer_of(sessions, pack.id);
    PackUse use;
    use.pack = pack;
    use.bytes = bytes;
    use.is_open = writer != nullptr && !writer->has_ended();
    if (!use.is_open) use = TRY(survey_.use_of(pack, bytes, stop_));
    use.may_be_resumed = writer != nullptr && writer->state == SessionState::kEnded;
    return use;
  }

  // `sessions` ascend by id.
  static const SessionRecord* writer_of(const std::vector<SessionRecord>& sessions, const PackId& pack) {
    const SessionRecord* writer = nullptr;
    // Two ids may begin alike: the one that keeps the pack counts.
    for (auto session = std::ranges::lower_bound(sessions, first_writer_of(pack), {}, &SessionRecord::id);
         session != sessions.end() && written_by(pack, session->id); ++session) {
      if (writer == nullptr || writer->state > session->state) writer = &*session;
    }
    return writer;
  }

  Result<std::vector<SessionRecord>> read_sessions() {
    std::vector<Error> unread;
    auto sessions = TRY(list_sessions(parts_.objects, unread));
    std::ranges::sort(sessions, {}, &SessionRecord::id);
    if (unread.empty()) return sessions;
    return doubt(unread.front());
  }

  // Reads the sessions, then marks what the snapshots need, and returns the sessions.
  Result<std::vector<SessionRecord>> mark_roots() {
    std::vector<SessionRecord> sessions = TRY(read_sessions());
    SnapshotCatalog snapshots(parts_.objects);
    for (const SnapshotId id : TRY(snapshots.list_ids())) {
      const auto object = snapshots.read(id);
      if (is(object, ErrorCode::kNotFound)) continue;
      if (!object.ok()) return doubt(object.error());
      if (const SnapshotRecord* record = root_in(object.value())) TRY(mark(*record));
    }
    TRY(check_users());
    return sessions;
  }

  Status mark(const SnapshotRecord& snapshot) {
    marked_.insert(snapshot.id);
    Status marked = live_.mark(snapshot, stop_);
    if (marked.ok() || is(marked, ErrorCode::kCancelled)) return marked;
    return doubt(marked.error());
  }

  // Looks whether the snapshots that images and volumes need are among those that were marked. One that was
  // published meanwhile is marked now. When one is missing, its record may come back from another copy.
  Status check_users() {
    const SnapshotCatalog snapshots(parts_.objects);
    for (const auto& [id, user] : TRY(SnapshotUsers::read(parts_.objects)).needed()) {
      if (marked_.contains(id)) continue;
      const auto object = snapshots.read(id);
      if (!object.ok() && !is(object, ErrorCode::kNotFound)) return doubt(object.error());
      const SnapshotRecord* record = object.ok() ? root_in(object.value()) : nullptr;
      if (record != nullptr) {
        TRY(mark(*record));
        continue;
      }
      if (!TRY(SnapshotUsers::read(parts_.objects)).check_unused(id).ok())
        return doubt(not_found(fmt::format("{}, which {} needs, is not in this store", id.text(), user)));
    }
    return {};
  }

  // Returns the record of a snapshot that holds what it needs: a published one, one in the bin, and a purged
  // one whose object is still there, because a writer may stand on it that began after the sessions were
  // listed.
  static const SnapshotRecord* root_in(const SnapshotObject& object) {
    const auto* gone = std::get_if<GoneSnapshot>(&object);
    if (gone != nullptr && gone->state == GoneState::kPurged) return gone->record ? &*gone->record : nullptr;
    return record_of(object);
  }

  static Error doubt(const Error& error) {
    return error.with_context("nothing is freed, because what this needs is not known");
  }

  Status rewrite() {
    Rewriter rewriter(parts_.objects, parts_.index, parts_.config, session_->id(), options_.level, survey_,
                      parts_.damage, pace_);
    Status done;
    for (const PackKind kind : {PackKind::kData, PackKind::kMeta}) {
      for (PlannedPack& pack : report_.plan.packs) {
        if (!done.ok() || pack.verdict != Verdict::kRewrite || pack.use.pack.kind != kind) continue;
        done = rewriter.rewrite(pack.use.pack, stop_);
        if (is(done, ErrorCode::kCorrupt)) {
          report_.warnings.push_back(done.error().text() + ": the pack stays as it is");
          pack.verdict = Verdict::kDamaged;
          done = {};
        }
        if (session_->lost().stop_requested()) return session_->beat();
      }
    }
    if (done.ok()) done = rewriter.publish();
    report_.was_full = is(done, ErrorCode::kExhausted);
    if (!done.ok() && !report_.was_full) return done;
    report_.written_bytes = rewriter.written_bytes();
    condemned_.insert(rewriter.done().begin(), rewriter.done().end());
    return {};
  }

  PackList list() const { return {parts_.config.id, state_.epoch, {condemned_.begin(), condemned_.end()}}; }

  Status condemn() {
    while (condemned_.size() > kMaxCondemned) condemned_.erase(std::prev(condemned_.end()));
    CollectionState barrier = state_;
    ++barrier.epoch;
    barrier.phase = CollectionPhase::kBarrier;
    PackList condemned = list();
    condemned.epoch = barrier.epoch;
    barrier.list = TRY(collections_.put_list(condemned));
    TRY(advance(barrier));
    return session_->beat();
  }

  // Waits until each writer has seen the list, has ended, or was silent for so long that it is taken away.
  // Takes the packs that a writer keeps off the list.
  Status wait_for_writers() {
    std::map<SessionId, std::pair<Nonce, unsigned>> seen;  // the last beat, and in how many looks
    bool is_told = false;
    while (true) {
      if (stop_.stop_requested()) return cancelled();
      std::size_t waiting = 0;
      for (const SessionRecord& session : TRY(read_sessions())) {
        if (session.has_ended() || session.id == session_->id()) continue;
        if (session.state == SessionState::kOpen && session.epoch == state_.epoch) {
          keep(session.keeps);
          continue;
        }
        ++waiting;
        auto& [nonce, looks] = seen[session.id];
        looks = nonce == session.nonce ? looks + 1 : 0;
        nonce = session.nonce;
        const bool is_silent = looks >= options_.silent_looks;
        if (!std::exchange(is_told, true) && options_.on_wait) options_.on_wait(session);
        if (is_silent)
          report_.warnings.push_back(
              fmt::format("session {} of {} gave no sign for 10 minutes, and was taken away",
                          session.id.hex(), session.host.substr(0, session.host.find(' '))));
        if (session.state == SessionState::kRevoked || is_silent || TRY(is_certainly_gone(session)))
          TRY(take_away(session));
      }
      progress_.waiting_for = waiting;
      if (waiting == 0) return {};
      std::this_thread::sleep_for(options_.look_every);
    }
  }

  Status take_away(const SessionRecord& session) {
    Status revoked = revoke(parts_.objects, session);
    const bool has_moved = is(revoked, ErrorCode::kBusy) || is(revoked, ErrorCode::kNotFound);
    return has_moved ? Status() : revoked;
  }

  void keep(const std::vector<PackId>& packs) {
    for (const PackId& pack : packs) {
      for (const PackKind kind : {PackKind::kData, PackKind::kMeta})
        report_.kept_packs += condemned_.erase({kind, pack});
    }
  }

  Status keep_what_lives() {
    TRY(parts_.index.catch_up());
    std::set<PackId> names;
    for (const PackName& pack : condemned_) names.insert(pack.id);
    LastCheck check(parts_.objects, parts_.index, live_, names, pace_);
    std::vector<PackName> needed;
    for (const PackName& pack : condemned_) {
      if (!TRY(check.may_be_freed(pack, stop_))) needed.push_back(pack);
    }
    for (const PackName& pack : needed) condemned_.erase(pack);
    report_.kept_packs += needed.size();
    return {};
  }

  Status free_rest() {
    if (condemned_.empty()) return become_idle(session_->id());
    // A loss of power must not bring back a snapshot that was purged.
    const std::vector<std::string> folder{std::string(SnapshotCatalog::kFolder)};
    TRY(parts_.objects.ensure_durable(folder).with_context("make records durable"));
    CollectionState free = state_;
    free.phase = CollectionPhase::kFree;
    free.list = TRY(collections_.put_list(list()));
    TRY(advance(free));
    TRY(remove({condemned_.begin(), condemned_.end()}));
    return become_idle(session_->id());
  }

  // Removes packs that nothing needs. One that can't be removed just now does not keep the others.
  Status remove(const std::vector<PackName>& packs) {
    Status first_error;
    for (const PackName& pack : packs) {
      const std::string key = pack_key(pack.kind, pack.id);
      const auto object = parts_.objects.stat(key);
      if (is(object, ErrorCode::kNotFound)) continue;  // freed by a collection that was cut off
      Status removed = remove_if_there(parts_.objects, key);
      if (!removed.ok()) {
        if (first_error.ok()) first_error = std::move(removed);
        continue;
      }
      best_effort(parts_.index.forget_pack(pack.id));
      best_effort(parts_.damage.catalog().remove(pack.id));  // the next verify removes it, too
      ++report_.freed_packs;
      if (object.ok()) report_.freed_bytes += object.value().size;
    }
    return first_error;
  }

  // Sessions that ended halfway: those seen for the first time are passed over, the others forgotten.
  Result<CollectReport> finish() {
    for (const SessionRecord& session : ended_) {
      Status done = session.state == SessionState::kEnded ? pass_over(parts_.objects, session)
                                                          : forget_session(parts_.objects, session);
      if (!is(done, ErrorCode::kBusy) && !is(done, ErrorCode::kNotFound)) TRY(std::move(done));
    }
    best_effort(remove_traces());
    TRY(collections_.remove_old_lists(state_));
    TRY(become_idle({}));
    TRY(parts_.index.flush());
    return std::move(report_);
  }

  // Removes the traces of snapshots that are gone: a purge was cut off, or a server noted them after it.
  Status remove_traces() {
    TraceCatalog traces(parts_.objects);
    const SnapshotCatalog snapshots(parts_.objects);
    for (const SnapshotId id : TRY(traces.list_all())) {
      if (is(snapshots.read(id), ErrorCode::kNotFound)) TRY(traces.remove(id));
    }
    return {};
  }

  const CollectParts& parts_;
  const CollectOptions& options_;
  CollectProgress& progress_;
  const std::stop_token& stop_;
  Pace pace_;
  MetaStore nodes_;
  SegmentReader segments_;
  Liveness live_;
  Survey survey_;
  CollectionCatalog collections_{parts_.objects};
  std::unique_ptr<Session> session_;
  CollectionState state_;  // as this collection last wrote it
  std::set<PackName> condemned_;
  std::vector<SessionRecord> ended_;
  std::set<SnapshotId> marked_;
  CollectReport report_;
};

}  // namespace

Result<CollectReport> plan_collection_of(const CollectParts& parts, const CollectOptions& options,
                                         CollectProgress& progress, const std::stop_token& stop) {
  return Collection(parts, options, progress, stop).plan_only();
}

Result<CollectReport> collect(const CollectParts& parts, const CollectOptions& options,
                              CollectProgress& progress, const std::stop_token& stop) {
  return Collection(parts, options, progress, stop).run();
}

}  // namespace ashlar
