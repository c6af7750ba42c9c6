#include "catalog/images.h"

#include "base/random.h"
#include "format/name_claim.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxClaimBytes = 4096;
constexpr std::size_t kMaxDamagedBytes = std::size_t{64} << 20U;  // a damaged claim may be longer than any

std::string claim_key(const ImageRecord& record) {
  return fmt::format("{}{}-{}", kImageNames, record.owner.text(), to_hex(sha256(as_byte_span(record.name))));
}

Error taken(const ImageRecord& record, std::string_view by) {
  return busy(fmt::format("{} has the name '{}' already", by, record.name));
}

ByteVector claim_of(ImageId image, std::uint64_t revision) {
  return encode(NameClaim{revision, image, random_id<Nonce>()});
}

bool is_namesake(const ImageRecord& other, const ImageRecord& record) {
  return is_alive(other) && other.owner == record.owner && other.name == record.name;
}

Result<NameClaim> read_claim(ObjectStore& objects, const std::string& key) {
  const auto about = [&key](Error error) {
    return error.code() == ErrorCode::kCorrupt ? error.about(ErrorKind::kRecordDamaged, key) : error;
  };
  const auto bytes = get_object(objects, key, kMaxClaimBytes);
  if (!bytes.ok()) return about(bytes.error());
  auto claim = decode_name_claim(bytes.value()).with_context(key);
  return claim.ok() ? claim : about(claim.error());
}

}  // namespace

bool is_alive(const ImageRecord& record) {
  return record.state == ImageState::kPending || record.state == ImageState::kAvailable ||
         record.state == ImageState::kDisabled;
}

// Returns whether image `id` needs the wanted name. A record with another owner or name holds a claim under
// another key.
Result<bool> ImageCatalog::holds_its_name(ImageId id, const ImageRecord& wanted) const {
  const auto record = get(id);
  if (record.ok()) return is_namesake(record.value(), wanted);
  if (record.error().code() == ErrorCode::kNotFound) return false;
  return true;  // a record that cannot be read may need its name
}

// Replaces a claim, of which `held` are the bytes, by `ours`.
Status ImageCatalog::take(const ImageRecord& record, ByteSpan held, ByteSpan ours) {
  Status taken_over = objects_.replace(claim_key(record), held, ours);
  if (is(taken_over, ErrorCode::kBusy) || is(taken_over, ErrorCode::kNotFound))
    return taken(record, "another image");
  return taken_over;
}

Status ImageCatalog::claim(const ImageRecord& record) {
  const std::string key = claim_key(record);
  Status claimed = objects_.put_if_absent(key, claim_of(record.id, 1));
  if (!is(claimed, ErrorCode::kBusy)) return claimed;
  const ByteVector held = TRY(get_object(objects_, key, kMaxDamagedBytes));
  const auto theirs = decode_name_claim(held);
  // A loss of power must not bring back that another image needs the name.
  const std::vector<std::string> folder{std::string(ImageKind::kFolder)};
  if (is(theirs, ErrorCode::kCorrupt)) {
    // Which image has the name is not known; the records of images tell.
    TRY(look_for_namesake(record));
    TRY(objects_.ensure_durable(folder).with_context("make records durable"));
    return take(record, held, claim_of(record.id, UtcTime::now().unix_ns));
  }
  if (!theirs.ok()) return theirs.error().with_context(key);
  const ImageId other = theirs.value().image;
  if (other == record.id) return {};
  if (TRY(holds_its_name(other, record))) return taken(record, other.text());
  TRY(objects_.ensure_durable(folder).with_context("make records durable"));
  const std::uint64_t revision = theirs.value().revision + 1;
  const ByteVector ours = claim_of(record.id, revision);
  TRY(take(record, held, ours));
  if (!TRY(holds_its_name(other, record))) return {};
  // Gives the name back. Fails when another writer has taken the claim.
  best_effort(objects_.replace(key, ours, claim_of(other, revision + 1)));
  return taken(record, other.text());
}

// Looks for a living image of the same owner and name. Claims alone are not enough: they may be given back
// wrongly when three writers meet, or when a writer dies between two steps. Records are not affected by that.
Status ImageCatalog::look_for_namesake(const ImageRecord& record) const {
  for (const ImageId id : TRY(list_ids())) {
    if (id == record.id) continue;
    const auto other = get(id);
    if (other.ok() && is_namesake(other.value(), record)) return taken(record, id.text());
  }
  return {};
}

Status ImageCatalog::confirm(const ImageRecord& record) {
  const auto held = get_object(objects_, claim_key(record), kMaxClaimBytes);
  if (is(held, ErrorCode::kNotFound)) return taken(record, "another image");
  if (!held.ok()) return held.error();
  const NameClaim claim = TRY(decode_name_claim(held.value()).with_context(claim_key(record)));
  if (claim.image != record.id) return taken(record, "another image");
  TRY(take(record, held.value(), claim_of(record.id, claim.revision + 1)));
  return look_for_namesake(record);
}

Status ImageCatalog::publish(const ImageRecord& record) {
  TRY(check_limits(record));
  TRY(claim(record));
  TRY(records_.publish(record));
  Status ours = confirm(record);
  if (!ours.ok()) TRY(records_.remove(record.id));
  return ours;
}

Result<ImageRecord> ImageCatalog::replace(const ImageRecord& before, ImageRecord now) {
  now.revision = before.revision + 1;
  const bool comes_back = is_alive(now) && !is_alive(before);
  if (comes_back) TRY(claim(now));
  TRY(records_.replace(before, now));
  Status ours = comes_back ? confirm(now) : Status();
  if (ours.ok()) return now;
  ImageRecord again = before;
  again.revision = now.revision + 1;
  TRY(records_.replace(now, again));
  return ours.take_error();
}

Status ImageCatalog::check_name(const ImageRecord& record) const {
  if (!is_alive(record)) return {};
  const std::string key = claim_key(record);
  const auto claim = read_claim(objects_, key);
  if (!claim.ok() && !is(claim, ErrorCode::kNotFound)) return {};
  if (claim.ok() && claim.value().image == record.id) return {};
  return corrupt(fmt::format("{}: does not hold the name '{}' for {}", key, record.name, record.id.text()));
}

Result<std::optional<std::string>> ImageCatalog::claim_missing_name(const ImageRecord& record) {
  const std::string key = claim_key(record);
  if (!is_alive(record) || !is(objects_.stat(key), ErrorCode::kNotFound)) return std::optional<std::string>();
  TRY(objects_.put_if_absent(key, claim_of(record.id, UtcTime::now().unix_ns)));
  return std::optional(key);
}

// The records of images are read behind the damaged bytes: an image that claims the name after that finds
// other bytes than it read, or takes the claim from the one that is put here.
Result<std::string> ImageCatalog::renew_claim(const std::string& key,
                                              const std::function<Status(ByteSpan)>& keep) {
  const auto claim = read_claim(objects_, key);
  if (claim.ok()) return invalid(key + " is not damaged");
  if (!is(claim, ErrorCode::kCorrupt)) return claim.error();
  const ByteVector held = TRY(get_object(objects_, key, kMaxDamagedBytes));
  if (!is(read_claim(objects_, key), ErrorCode::kCorrupt)) return busy(key + " can be read again");
  std::optional<ImageId> holder;
  Status unread;
  for (const ImageId id : TRY(list_ids())) {
    const auto record = get(id);
    if (record.ok() && is_alive(record.value()) && claim_key(record.value()) == key) holder = id;
    if (!record.ok() && !is(record, ErrorCode::kNotFound)) unread = record.error();
  }
  if (!holder) TRY(std::move(unread).with_context("it is unknown which image has the name of " + key));
  TRY(keep(held));
  const std::vector<std::string> folder{std::string(ImageKind::kFolder)};
  TRY(objects_.ensure_durable(folder).with_context("make records durable"));
  TRY(objects_.replace(key, held, claim_of(holder.value_or(ImageId{random_u64()}), UtcTime::now().unix_ns)));
  return claim.error().text();
}

Result<std::vector<std::pair<std::string, Error>>> ImageCatalog::unreadable_claims() const {
  std::vector<std::string> keys;
  TRY(objects_.list(kImageNames, [&](const ObjectInfo& object) -> Status {
    keys.push_back(object.key);
    return {};
  }));
  std::vector<std::pair<std::string, Error>> unreadable;
  for (const std::string& key : keys) {
    const auto claim = read_claim(objects_, key);
    if (!claim.ok()) unreadable.emplace_back(key, claim.error());
  }
  return unreadable;
}

}  // namespace ashlar
