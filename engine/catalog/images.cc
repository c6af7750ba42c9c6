#include "catalog/images.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxClaimBytes = 64;

std::string claim_key(const ImageRecord& record) {
  return fmt::format("image-names/{}-{}", record.owner.text(), to_hex(sha256(as_byte_span(record.name))));
}

Error taken(const ImageRecord& record, std::string_view by) {
  return busy(fmt::format("{} has the name '{}' already", by, record.name));
}

bool is_namesake(const ImageRecord& other, const ImageRecord& record) {
  return is_alive(other) && other.owner == record.owner && other.name == record.name;
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

Status ImageCatalog::claim(const ImageRecord& record) {
  const std::string key = claim_key(record);
  const std::string ours = record.id.text();
  Status claimed = objects_.put_if_absent(key, as_byte_span(ours));
  if (!is(claimed, ErrorCode::kBusy)) return claimed;
  auto bytes = get_object(objects_, key, kMaxClaimBytes);
  if (is(bytes, ErrorCode::kNotFound)) return taken(record, "another image");
  const std::string theirs(as_text(TRY(std::move(bytes))));
  if (theirs == ours) return {};
  const ImageId other = TRY(ImageId::parse(theirs).with_context(key));
  if (TRY(holds_its_name(other, record))) return taken(record, theirs);
  // A loss of power must not bring back that it needs the name.
  const std::vector<std::string> folder{std::string(ImageKind::kFolder)};
  TRY(objects_.ensure_durable(folder).with_context("make records durable"));
  Status replaced = objects_.replace(key, as_byte_span(theirs), as_byte_span(ours));
  if (is(replaced, ErrorCode::kBusy) || is(replaced, ErrorCode::kNotFound))
    return taken(record, "another image");
  TRY(std::move(replaced));
  if (!TRY(holds_its_name(other, record))) return {};
  // Fails when another writer has taken the claim.
  best_effort(objects_.replace(key, as_byte_span(ours), as_byte_span(theirs)));
  return taken(record, theirs);
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
  const auto bytes = get_object(objects_, claim_key(record), kMaxClaimBytes);
  if (bytes.ok() && as_text(bytes.value()) == record.id.text()) return look_for_namesake(record);
  if (!bytes.ok() && bytes.error().code() != ErrorCode::kNotFound) return bytes.error();
  return taken(record, "another image");
}

// Removes the claim if it belongs to this image. Between check and removal no other writer takes it: the
// image's record still exists and needs its name.
Status ImageCatalog::release(const ImageRecord& record) {
  const auto bytes = get_object(objects_, claim_key(record), kMaxClaimBytes);
  if (!bytes.ok() || as_text(bytes.value()) != record.id.text()) return {};
  return remove_if_there(objects_, claim_key(record));
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
  const auto bytes = get_object(objects_, key, kMaxClaimBytes);
  if (bytes.ok() && as_text(bytes.value()) == record.id.text()) return {};
  if (!bytes.ok() && !is(bytes, ErrorCode::kNotFound)) return bytes.error();
  return corrupt(fmt::format("{}: does not hold the name '{}' for {}", key, record.name, record.id.text()));
}

Status ImageCatalog::remove(ImageId id) {
  const auto record = get(id);
  if (record.ok() && is_alive(record.value())) TRY(release(record.value()));
  return records_.remove(id);
}

}  // namespace ashlar
