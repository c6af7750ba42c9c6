// RecordFolder: the records of one kind, as objects `<folder>/<id>` of a store.
//
// A Kind names the record and its form: types Record and Id, kFolder ("volumes/"), kMaxBytes, encode(record)
// → bytes or text, and decode(bytes). A record has `id` and `created`.
//
// A random id is never given again, so its record is published and removed. An id that is made of a name
// comes back: its record is claimed and freed, and its key is never deleted (format/free_record.h).
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "format/free_record.h"
#include "io/object_store.h"

namespace ashlar {

template <class Kind>
class RecordFolder {
 public:
  using Record = typename Kind::Record;
  using Id = typename Kind::Id;

  explicit RecordFolder(ObjectStore& objects) : objects_(objects) {}

  static std::string key_of(Id id) { return fmt::format("{}{}", Kind::kFolder, id.text()); }

  // Publishes a record, durably when it returns ok. Fails with kBusy when the id is taken, and with kInvalid
  // for a record that no reader would accept.
  Status publish(const Record& record) {
    Status status = objects_.put_if_absent(key_of(record.id), TRY(checked_bytes(record)));
    if (is(status, ErrorCode::kBusy)) return busy(fmt::format("{} exists already", record.id.text()));
    return std::move(status).with_context(fmt::format("publish {}", record.id.text()));
  }

  // Publishes a record of a name, and returns it as stored: with the revision after the last one that the key
  // had. Fails with kBusy when the name has a record, or when another writer was faster. For records that
  // have a revision.
  Result<Record> claim(Record record) {
    Status made = publish(record);
    if (made.ok()) return record;
    if (!is(made, ErrorCode::kBusy)) return made.take_error();
    const std::string key = key_of(record.id);
    const ByteVector held = TRY(get_object(objects_, key, Kind::kMaxBytes));
    if (!looks_free(held)) {
      const auto holder = get(record.id);
      return is(holder, ErrorCode::kCorrupt) ? holder.error() : made.take_error();
    }
    record.revision = TRY(decode_free_record(held).with_context(key)).revision + 1;
    Status replaced = objects_.replace(key, held, TRY(checked_bytes(record)));
    if (is(replaced, ErrorCode::kBusy)) return made.take_error();
    TRY(std::move(replaced).with_context(fmt::format("publish {}", record.id.text())));
    return record;
  }

  // Removes the record of a name and leaves a free record in its place. Fails with kNotFound when the name
  // has no record, and with kCorrupt for a damaged one: its bytes are to be kept.
  Status free(Id id) {
    const std::string key = key_of(id);
    for (;;) {
      const Record record = TRY(get(id));
      Status freed = objects_.replace(key, bytes_of(record), encode_free(record.revision + 1));
      if (!is(freed, ErrorCode::kBusy)) return std::move(freed).with_context("delete " + id.text());
      const auto now = get(id);
      if (now.ok() && now.value() == record) return freed;  // the store itself is busy
    }
  }

  // Replaces `before` by `now`. Fails with kBusy when another writer has changed the record.
  Status replace(const Record& before, const Record& now) {
    const ByteVector bytes = TRY(checked_bytes(now));
    Status status = objects_.replace(key_of(now.id), bytes_of(before), bytes);
    if (is(status, ErrorCode::kNotFound)) return unknown(now.id);
    return std::move(status).with_context(fmt::format("change {}", now.id.text()));
  }

  // Applies `change` and returns the record with the next revision. `change` is called again when another
  // writer was faster. For records that have a revision.
  template <class Change>
  Result<Record> update(Id id, const Change& change) {
    for (;;) {
      const Record before = TRY(get(id));
      Record now = before;
      TRY(change(now));
      if (now == before) return now;
      now.revision = before.revision + 1;
      Status done = replace(before, now);
      if (done.ok()) return now;
      if (done.error().code() != ErrorCode::kBusy || TRY(get(id)) == before) return done.take_error();
    }
  }

  // Returns a record. Fails with kNotFound ("no volume vol-… in this store"); names a damaged record, with
  // kCorrupt and the kind kRecordDamaged.
  Result<Record> get(Id id) const {
    const std::string key = key_of(id);
    auto bytes = get_object(objects_, key, Kind::kMaxBytes);
    if (is(bytes, ErrorCode::kNotFound)) return unknown(id);
    if (!bytes.ok()) return about(bytes.take_error().with_context(id.text()), id);
    if (looks_free(bytes.value())) {
      const auto free = decode_free_record(bytes.value()).with_context(key);
      return free.ok() ? unknown(id) : about(free.error(), id);
    }
    auto record = Kind::decode(bytes.value()).with_context(key);
    if (!record.ok()) return about(record.take_error(), id);
    if (record.value().id != id)
      return about(corrupt(fmt::format("{}: holds the record of {}", key, record.value().id.text())), id);
    return record;
  }

  Result<std::vector<Id>> list_ids() const {
    std::vector<Id> ids;
    TRY(objects_.list(Kind::kFolder, [&](const ObjectInfo& object) -> Status {
      const auto id = Id::parse(std::string_view(object.key).substr(Kind::kFolder.size()));
      if (id.ok()) ids.push_back(id.value());  // any other name is not a record
      return {};
    }));
    return ids;
  }

  // Returns all records, oldest first. The error of a record that can't be read is added to `unread`, if
  // that is given; else it fails the call.
  Result<std::vector<Record>> list(std::vector<Error>* unread = nullptr) const {
    std::vector<Record> records;
    for (const Id id : TRY(list_ids())) {
      auto record = get(id);
      if (record.ok()) {
        records.push_back(record.take());
        continue;
      }
      if (is(record, ErrorCode::kNotFound)) continue;  // the record was deleted since
      if (unread == nullptr) return record.take_error();
      unread->push_back(record.take_error());
    }
    std::ranges::sort(records, [](const Record& a, const Record& b) {
      return std::tie(a.created, a.id) < std::tie(b.created, b.id);
    });
    return records;
  }

  // Deletes the object. For random ids.
  Status remove(Id id) {
    Status status = objects_.remove(key_of(id));
    if (is(status, ErrorCode::kNotFound)) return unknown(id);
    return std::move(status).with_context(fmt::format("delete {}", id.text()));
  }

 private:
  static ByteVector encode_free(std::uint64_t revision) {
    return ashlar::encode(FreeRecord{revision, random_id<Nonce>()});
  }

  static Error about(Error error, Id id) {
    if (error.code() != ErrorCode::kCorrupt) return error;
    return error.about(ErrorKind::kRecordDamaged, id.text());
  }

  static Error unknown(Id id) {
    return not_found(fmt::format("no {} {} in this store", Id::kNoun, id.text()))
        .about(Id::kMissing, id.text());
  }

  static ByteVector bytes_of(const Record& record) {
    const auto encoded = Kind::encode(record);
    const ByteSpan bytes = std::as_bytes(std::span(encoded));
    return {bytes.begin(), bytes.end()};
  }

  // Encodes a record and checks that every reader will accept the bytes.
  static Result<ByteVector> checked_bytes(const Record& record) {
    if (record.id.value == 0) return invalid(fmt::format("the id of the {} is missing", Id::kNoun));
    TRY(check_limits(record));
    ByteVector bytes = bytes_of(record);
    const Record again = TRY(Kind::decode(bytes).with_context("the record is not valid"));
    if (again != record) return invalid("the record does not survive its encoding");
    return bytes;
  }

  ObjectStore& objects_;
};

}  // namespace ashlar
