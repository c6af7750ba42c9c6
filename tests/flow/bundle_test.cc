// Tests of images as one stream: an exported image is imported equal, and a damaged bundle imports nothing.
#include "flow/bundle_world.h"
#include "format/bundle_format.h"
#include "support/remote_objects.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

struct Item {
  BundleItem type = BundleItem::kEnd;
  ByteVector payload;
};

std::vector<Item> items_of(ByteSpan bundle) {
  std::vector<Item> items;
  for (std::size_t at = kBundleHeaderBytes; at < bundle.size();) {
    const BundleItemHead head = decode_bundle_item_head(bundle.subspan(at, kBundleItemHeadBytes)).take();
    at += kBundleItemHeadBytes;
    const ByteSpan payload = bundle.subspan(at, head.bytes);
    items.push_back({head.type, {payload.begin(), payload.end()}});
    at += head.bytes;
  }
  items.pop_back();  // drops the end item
  return items;
}

// Builds a bundle of these items, with correct checksums and a correct end item.
ByteVector sealed(ByteSpan header, const std::vector<Item>& items) {
  ByteVector out(header.begin(), header.end());
  for (const Item& item : items) {
    append(out, encode(BundleItemHead{item.type, static_cast<std::uint32_t>(item.payload.size()),
                                      checksum64(item.payload)}));
    append(out, item.payload);
  }
  const ByteVector end = encode(BundleEnd{items.size(), sha256(out)});
  append(out,
         encode(BundleItemHead{BundleItem::kEnd, static_cast<std::uint32_t>(end.size()), checksum64(end)}));
  append(out, end);
  return out;
}

class Bundles : public BundleWorld {};

TEST_F(Bundles, WhatGoesOutComesIn) {
  const ImageRecord image = sample("web");
  const auto report = imported(exported(image));
  ASSERT_OK(report);
  const ImageRecord& arrived = report.value().image;
  EXPECT_EQ(image_digest(arrived), image_digest(image));
  EXPECT_EQ(arrived.source_image, image.id);
  EXPECT_EQ(arrived.source_store, here_.repo().config().id);
  EXPECT_EQ(arrived.owner, AccountId{2});
  EXPECT_EQ(arrived.state, ImageState::kAvailable);
  EXPECT_TRUE(there_.verify().take().damages.empty());
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string out = directory_ / fmt::format("out-{}", i);
    ASSERT_OK(
        there_.restore_to(there_.repo().snapshots().get(arrived.devices[i].content.snapshot).take(), out));
    EXPECT_TRUE(file_bytes(out) == file_bytes(directory_ / fmt::format("web-{}", i + 1)));
  }
  const auto again = imported(exported(image), "again");
  ASSERT_OK(again);
  EXPECT_EQ(again.value().copy.segments_sent, 0U);
  EXPECT_EQ(imported(exported(image)).error().code(), ErrorCode::kBusy) << "the name is taken";
}

// The store has the segments, and cannot say so just now: that is an error, and nothing is stored twice.
TEST_F(Bundles, AStoreThatCannotBeReadJustNowIsAnError) {
  const ByteVector bundle = exported(sample("web"));
  ASSERT_OK(imported(bundle));
  const std::vector<std::string> before = objects_there();
  Repo& repo = there_.repo();
  std::filesystem::remove(directory_ / "scratch");
  const auto scratch = posix_file_system().create_random(directory_ / "scratch", 64 * kMiB).take();
  const WriteParts parts = repo.write_parts().take();
  RemoteObjects remote(repo.objects());
  remote.fault = Fault::kError;
  SegmentReader far(remote, parts.index);
  const WriteParts target{parts.config, parts.objects,   parts.index, far,
                          parts.nodes,  parts.snapshots, parts.damage};
  CopyProgress progress;
  std::size_t at = 0;
  const ReadBytes read = [&](MutableByteSpan out) -> Result<std::size_t> {
    const std::size_t size = std::min(out.size(), bundle.size() - at);
    if (size > 0) std::memcpy(out.data(), bundle.data() + at, size);
    at += size;
    return size;
  };
  const auto report = import_image({target, *repo.nodes().take(), *scratch}, read,
                                   [](const ImageRecord&) { return Status(); },
                                   {"again", AccountId{2}, false, true}, progress, {});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code(), ErrorCode::kIo);
  EXPECT_EQ(objects_there(), before);
}

// Another process finds the damage: an import has to look for it.
TEST_F(Bundles, WhatIsDamagedThereComesInAgain) {
  const ByteVector bundle = exported(sample("web"));
  ASSERT_OK(imported(bundle));
  const PackId pack = list_packs(there_.repo().objects(), PackKind::kData).take().at(0).id;
  const SegmentEntry segment = there_.repo().index().take()->pack_segments(pack).take().at(0);
  const std::string path = (directory_ / "there/") + pack_key(PackKind::kData, pack);
  ByteVector bytes = file_bytes(path);
  bytes[segment.payload_offset] ^= std::byte{1};
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  World other(posix_file_system(), directory_ / "there", {{}, {}, true});
  ASSERT_OK(other.open());
  ASSERT_EQ(other.verify().take().damages.size(), 1U);

  const auto again = imported(bundle, "again");
  ASSERT_OK(again);
  EXPECT_EQ(again.value().copy.segments_sent, 1U);
  const VerifyReport healed = there_.verify().take();
  ASSERT_EQ(healed.damages.size(), 1U);
  EXPECT_TRUE(healed.damages[0].losses.empty());
  EXPECT_EQ(healed.damages[0].sound_in.size(), 1U);
}

TEST_F(Bundles, OnlyTheDifferenceGoesOut) {
  Image disk(directory_ / "disk", 48 * kMiB);
  std::vector<std::byte> noise(48 * kMiB);
  Prng(3).fill(noise);
  disk.write(0, noise);
  CaptureOptions options;
  options.parent = here_.capture_file(disk.path()).take().record;
  const ImageRecord first = made("one", {*options.parent});
  for (std::uint64_t at = 1; at < 48; at += 13) {
    std::vector<std::byte> change(200'000);
    Prng(at).fill(change);
    disk.write(at * kMiB, change);
  }
  const SnapshotRecord changed = here_.capture_file(disk.path(), options).take().record;
  const ImageRecord second = made("two", {changed});
  const ByteVector difference = exported(second, first);
  EXPECT_LE(difference.size(), changed.new_stored_bytes.value * 11 / 10);
  const auto refused = imported(difference);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(refused.error().text().find(first.id.text()), std::string::npos) << refused.error().text();
  EXPECT_TRUE(objects_there().empty());
  ASSERT_OK(imported(exported(first)));
  const auto report = imported(difference);
  ASSERT_OK(report);
  const std::string out = directory_ / "out";
  ASSERT_OK(there_.restore_to(report.value().copy.records.at(0), out));
  EXPECT_TRUE(file_bytes(out) == disk.model());
}

// An image goes out, is changed there, and its difference comes back. The store that made the image has its
// nodes under other ids than the bundle, because they have region hashes.
TEST_F(Bundles, ADifferenceReturnsToTheStoreThatMadeItsBase) {
  Image disk(directory_ / "disk", 20 * kMiB);
  std::vector<std::byte> noise(20 * kMiB);
  Prng(3).fill(noise);
  disk.write(0, noise);
  const ImageRecord original = made("one", {here_.capture_file(disk.path()).take().record});
  const auto sent = imported(exported(original));
  ASSERT_OK(sent);
  disk.write(9 * kMiB, ByteSpan(noise).first(100'000));
  CaptureOptions options;
  options.parent = sent.value().copy.records.at(0);
  const SnapshotRecord changed = there_.capture_file(disk.path(), options).take().record;

  here_.swap(there_);
  const ImageRecord second = made("two", {changed});
  const ByteVector difference = exported(second, sent.value().image);
  EXPECT_LT(difference.size(), 300'000U);
  ImageCatalog images(there_.repo().objects());
  ASSERT_OK(images.remove(original.id));
  EXPECT_EQ(imported(difference).error().code(), ErrorCode::kCorrupt) << "there is nothing to build on";
  ASSERT_OK(images.publish(original));
  const auto report = imported(difference);
  ASSERT_OK(report);
  const std::string out = directory_ / "out";
  ASSERT_OK(there_.restore_to(report.value().copy.records.at(0), out));
  EXPECT_TRUE(file_bytes(out) == disk.model());
  EXPECT_TRUE(there_.verify().take().damages.empty());
}

// A store that lost the later image takes in its difference to an image that it made.
TEST_F(Bundles, ADifferenceReturnsToTheStoreThatMadeBoth) {
  Image disk(directory_ / "disk", 20 * kMiB);
  std::vector<std::byte> noise(20 * kMiB);
  Prng(3).fill(noise);
  disk.write(0, noise);
  CaptureOptions options;
  options.parent = here_.capture_file(disk.path()).take().record;
  const ImageRecord first = made("one", {*options.parent});
  disk.write(9 * kMiB, ByteSpan(noise).first(100'000));
  const ImageRecord second = made("two", {here_.capture_file(disk.path(), options).take().record});
  const ByteVector difference = exported(second, first);
  here_.swap(there_);
  const auto report = imported(difference, "again");
  ASSERT_OK(report);
  EXPECT_EQ(report.value().copy.segments_sent, 0U);
  const std::string out = directory_ / "out";
  ASSERT_OK(there_.restore_to(report.value().copy.records.at(0), out));
  EXPECT_TRUE(file_bytes(out) == disk.model());
}

// A changed bundle is either refused with one line of text, and no snapshot and no image appears, or it still
// imports as the same image.
TEST_F(Bundles, FiveHundredMalformedOnes) {
  const ImageRecord image = sample("web");
  const ByteVector whole = exported(image);
  const ByteSpan header = ByteSpan(whole).first(kBundleHeaderBytes);
  const std::vector<Item> items = items_of(whole);
  ASSERT_EQ(sealed(header, items), whole);
  Prng prng(99);
  std::size_t refused = 0;
  for (int round = 0; round < 500; ++round) {
    SCOPED_TRACE(round);
    std::vector<Item> changed = items;
    ByteVector head(header.begin(), header.end());
    ByteVector bundle;
    Item& one = changed[prng.below(changed.size())];
    Item& other = changed[prng.below(changed.size())];
    const auto flip = [&](ByteVector& bytes) {
      bytes[prng.below(bytes.size())] ^= static_cast<std::byte>(1U << prng.below(8));
    };
    switch (round % 12) {
      case 0:  // a bit flipped in transit
        bundle = whole;
        flip(bundle);
        break;
      case 1:  // truncated
        bundle.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(prng.below(whole.size())));
        break;
      case 2:  // bytes appended
        bundle = whole;
        bundle.insert(bundle.end(), 1 + prng.below(100), std::byte{0});
        break;
      case 3:
        changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(prng.below(changed.size())));
        break;
      case 4:
        changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(prng.below(changed.size())), Item(one));
        break;
      case 5:
        std::swap(one, other);
        break;
      case 6:  // changed, with checksums made right again
        flip(one.payload);
        break;
      case 7:
        one.payload.resize(prng.below(one.payload.size()));
        break;
      case 8:
        one.payload.resize(one.payload.size() + 1 + prng.below(64));
        break;
      case 9:
        one.type = static_cast<BundleItem>(1 + prng.below(4));
        break;
      case 10:  // an unknown version, another store, no image, …
        flip(head);
        break;
      default:  // eight random bytes
        for (std::size_t i = 0; i < 8; ++i)
          one.payload[prng.below(one.payload.size())] = static_cast<std::byte>(prng.below(256));
        break;
    }
    if (bundle.empty() && round % 12 != 1) bundle = sealed(head, changed);
    const std::vector<std::string> before = objects_there();
    const auto report = imported(bundle, fmt::format("name-{}", round));
    if (report.ok()) {
      EXPECT_EQ(image_digest(report.value().image), image_digest(image));
      ImageCatalog images(there_.repo().objects());
      ASSERT_OK(images.remove(report.value().image.id));
      for (const SnapshotRecord& record : report.value().copy.records)
        ASSERT_OK(remove_snapshot(there_.repo().objects(), record.id));
      continue;
    }
    ++refused;
    EXPECT_EQ(objects_there(), before) << "a refused bundle leaves the objects of the store as they were";
    const std::string& text = report.error().text();
    EXPECT_TRUE(!text.empty() && text.find('\n') == std::string::npos) << text;
    EXPECT_TRUE(report.error().code() == ErrorCode::kCorrupt ||
                report.error().code() == ErrorCode::kUnsupported ||
                report.error().code() == ErrorCode::kInvalid)
        << text;
    EXPECT_TRUE(there_.repo().snapshots().list_ids().take().empty());
    EXPECT_TRUE(ImageCatalog(there_.repo().objects()).list_ids().take().empty());
  }
  EXPECT_GT(refused, 400U);
  EXPECT_TRUE(there_.verify().take().damages.empty());
}

// Until a bundle has been accepted as a whole, the store has no object of it.
TEST_F(Bundles, ARefusedBundleWritesNothing) {
  const ImageRecord image = sample("web");
  const ByteVector whole = exported(image);
  const std::vector<Item> items = items_of(whole);
  for (std::size_t i = 0; i < items.size(); ++i) {
    std::vector<Item> changed = items;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
    ASSERT_FALSE(imported(sealed(ByteSpan(whole).first(kBundleHeaderBytes), changed)).ok()) << i;
    ASSERT_TRUE(objects_there().empty()) << i;
  }
}

// A leaf that claims other contents than it has is refused, also when everything else in the bundle is right.
TEST_F(Bundles, ALeafThatLiesIsRefused) {
  Image one(directory_ / "one", 2 * kMiB);
  Image two(directory_ / "two", 2 * kMiB);
  std::vector<std::byte> noise(2 * kMiB);
  for (Image* image : {&one, &two}) {
    Prng(image == &one ? 1 : 2).fill(noise);
    image->write(0, noise);
  }
  const SnapshotRecord honest = here_.capture_file(one.path()).take().record;
  const SnapshotRecord other = here_.capture_file(two.path()).take().record;
  const ImageRecord image = made("web", {honest});
  std::vector<Item> items = items_of(exported(made("other", {other})));
  const ByteVector good = exported(image);
  items[0] = items_of(good)[0];
  SnapshotRecord forged = honest;
  for (Item& item : items) {
    if (item.type != BundleItem::kNode) continue;
    Leaf leaf = decode_leaf(item.payload).take();
    leaf.digest = honest.root.digest;
    item.payload = encode(leaf);
    forged.root.id = node_id(item.payload);
  }
  items[1].payload = encode(forged);
  const auto report = imported(sealed(ByteSpan(good).first(kBundleHeaderBytes), items));
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.error().text().find("digest"), std::string::npos) << report.error().text();
  EXPECT_TRUE(objects_there().empty());
}

// Forged region hashes would hide a change from the first capture on the image.
TEST_F(Bundles, ALeafWithRegionHashesIsRefused) {
  Image disk(directory_ / "disk", 2 * kMiB);
  std::vector<std::byte> noise(2 * kMiB);
  Prng(1).fill(noise);
  disk.write(0, noise);
  const SnapshotRecord snapshot = here_.capture_file(disk.path()).take().record;
  const ByteVector good = exported(made("web", {snapshot}));
  std::vector<Item> items = items_of(good);
  items[1].payload = encode(snapshot);  // names the leaf as this store has it
  ASSERT_EQ(items.back().type, BundleItem::kNode);
  const Leaf leaf = *here_.repo().nodes().take()->leaf(snapshot.root.id).take();
  ASSERT_NE(leaf.region_mask, 0U);
  ASSERT_EQ(items.back().payload, encode(without_region_hashes(leaf)));
  items.back().payload = encode(leaf);
  const auto report = imported(sealed(ByteSpan(good).first(kBundleHeaderBytes), items));
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(report.error().text().find("region hashes"), std::string::npos) << report.error().text();
  EXPECT_TRUE(objects_there().empty());
  ASSERT_OK(imported(good));
}

// A node stands twice in its parent, the second time under the digest of another node: every digest fits
// except that of a leaf.
TEST_F(Bundles, ANodeInPlaceOfAnotherIsRefused) {
  Image disk(directory_ / "disk", 8 * kMiB);
  std::vector<std::byte> noise(8 * kMiB);
  Prng(8).fill(noise);
  disk.write(0, noise);
  const SnapshotRecord honest = here_.capture_file(disk.path()).take().record;
  const ImageRecord image = made("web", {honest});
  const ByteVector whole = exported(image);
  std::vector<Item> items = items_of(whole);
  const SnapshotRecord sent = decode_snapshot_record(items[1].payload).take();
  ASSERT_EQ(node_id(items.back().payload), sent.root.id);
  const InnerNode root = decode_inner_node(items.back().payload).take();
  ASSERT_EQ(root.children.size(), 2U);
  InnerNode forged = root;
  forged.children[1].id = forged.children[0].id;
  SnapshotRecord record = sent;
  record.root.id = node_id(encode(forged));
  std::erase_if(items, [&](const Item& item) {
    return item.type == BundleItem::kNode && node_id(item.payload) == root.children[1].id;
  });
  for (Item& item : items) {
    if (item.type == BundleItem::kNode && node_id(item.payload) == sent.root.id)
      item.payload = encode(forged);
    if (item.type == BundleItem::kSnapshot) item.payload = encode(record);
  }
  const auto report = imported(sealed(ByteSpan(whole).first(kBundleHeaderBytes), items));
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code(), ErrorCode::kCorrupt);
  EXPECT_TRUE(objects_there().empty());
}

}  // namespace
}  // namespace ashlar
