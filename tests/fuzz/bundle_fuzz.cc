// Fuzz target: a bundle, as it is, and with all checksums and the end item made right. It is refused, or the
// imported image is sound.
#include <algorithm>
#include <cstring>

#include "catalog/images.h"
#include "fuzz/target.h"
#include "repo/repo.h"
#include "simulated/simulated_file_system.h"
#include "support/snapshots.h"
#include "transfer/bundle_reader.h"

namespace {

using namespace ashlar;

constexpr std::uint64_t kScratchBytes = 1 << 20;

struct Store {
  SimulatedFileSystem files;
  std::unique_ptr<Repo> repo;
  std::unique_ptr<RandomFile> scratch;

  Store() {
    CHECK(Repo::init(files, StoreAddress{"/store"}, {}).ok());
    repo = Repo::open(files, StoreAddress{"/store"}, {{}, {}, true}).take();
    scratch = files.create_random("/scratch", kScratchBytes).take();
  }
};

void import(ByteSpan bundle) {
  static Store store;
  Repo& repo = *store.repo;
  ImageCatalog images(repo.objects());
  const WriteParts target = repo.write_parts().take();
  std::size_t at = 0;
  const auto read = [&](MutableByteSpan out) -> Result<std::size_t> {
    const std::size_t size = std::min(out.size(), bundle.size() - at);
    if (size > 0) std::memcpy(out.data(), bundle.data() + at, size);
    at += size;
    return size;
  };
  CopyProgress progress;
  const auto report =
      import_image({target, *repo.nodes().take(), *store.scratch}, read,
                   [](const ImageRecord&) { return Status(); }, {{}, AccountId{1}, true, true}, progress, {});
  if (!report.ok()) {
    CHECK(!report.error().text().empty());
    CHECK(images.list_ids().take().empty() && repo.snapshots().list_ids().take().empty());
    return;
  }
  CHECK(images.remove(report.value().image.id).ok());
  for (const SnapshotRecord& record : report.value().copy.records)
    CHECK(remove_snapshot(repo.objects(), record.id).ok());
}

// Cuts the input into items as their heads say, and makes their checksums and the end item right.
ByteVector resealed(ByteSpan bytes) {
  const auto append = [](ByteVector& out, ByteSpan part) { out.insert(out.end(), part.begin(), part.end()); };
  ByteVector out(bytes.begin(),
                 bytes.begin() + static_cast<std::ptrdiff_t>(std::min(bytes.size(), kBundleHeaderBytes)));
  std::uint64_t items = 0;
  for (std::size_t at = kBundleHeaderBytes; at + kBundleItemHeadBytes <= bytes.size(); ++items) {
    const auto type = static_cast<BundleItem>(1 + std::to_integer<unsigned>(bytes[at]) % 5);
    if (type == BundleItem::kEnd) break;
    std::uint32_t size = 0;
    std::memcpy(&size, bytes.data() + at + 4, sizeof size);
    at += kBundleItemHeadBytes;
    const ByteSpan payload = bytes.subspan(at, std::min<std::size_t>(size, bytes.size() - at));
    append(out,
           encode(BundleItemHead{type, static_cast<std::uint32_t>(payload.size()), checksum64(payload)}));
    append(out, payload);
    at += payload.size();
  }
  const ByteVector end = encode(BundleEnd{items, sha256(out)});
  append(out,
         encode(BundleItemHead{BundleItem::kEnd, static_cast<std::uint32_t>(end.size()), checksum64(end)}));
  append(out, end);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan bytes = fuzz::as_bytes(data, size);
  import(bytes);
  import(resealed(bytes));
  return 0;
}
