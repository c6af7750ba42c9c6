#include "volume/overlay_map_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/random.h"

namespace ashlar {

namespace {

constexpr const char* kName = "/map";
constexpr const char* kNewName = "/map.new";
constexpr std::uint64_t kSmallestLimitBytes = std::uint64_t{8} << 20;

// Returns kOpened records for sorted chunk numbers, neighbours merged into one record.
template <class Numbers>
std::vector<OverlayRecord> opened_records(const Numbers& chunks) {
  std::vector<OverlayRecord> records;
  for (const std::uint64_t chunk : chunks) {
    if (!records.empty() && records.back().chunk + records.back().count == chunk) {
      ++records.back().count;
    } else {
      records.push_back({.kind = OverlayRecordKind::kOpened, .chunk = chunk});
    }
  }
  return records;
}

class Replay {
 public:
  Replay(ByteSpan bytes, const std::function<void(const OverlayRecord&)>& load)
      : bytes_(bytes), load_(load) {}

  Result<OverlayMapFile::Replayed> run(std::uint64_t salt) {
    std::size_t at = kOverlayMapHeaderBytes;
    bool first = true;
    while (at < bytes_.size() || first) {
      auto decoded = decode_overlay_transaction(bytes_.subspan(at), salt);
      if (!decoded.ok()) {
        if (first || decoded.error().code() == ErrorCode::kUnsupported) return decoded.take_error();
        const std::size_t later = find_overlay_transaction(bytes_, at + 1, state_.sequence, salt);
        if (later == bytes_.size()) break;
        return corrupt(fmt::format("overlay map: damaged at {}, and sound again at {}", at, later));
      }
      TRY(apply(decoded.value().transaction, first));
      at += decoded.value().bytes;
      first = false;
    }
    state_.dropped_bytes = bytes_.size() - at;
    return std::move(state_);
  }

 private:
  Status apply(const OverlayTransaction& transaction, bool first) {
    const bool whole = (transaction.flags & OverlayTransaction::kWhole) != 0;
    if (whole != first || (!first && transaction.sequence != state_.sequence + 1)) {
      return corrupt("overlay map: a transaction is missing");
    }
    if (transaction.size < state_.size) return corrupt("overlay map: the volume shrinks");
    state_.sequence = transaction.sequence;
    state_.base = transaction.base;
    state_.size = transaction.size;
    if ((transaction.flags & OverlayTransaction::kClosed) != 0) state_.opened.clear();
    for (const OverlayRecord& record : transaction.records) {
      if (record.kind != OverlayRecordKind::kOpened) {
        load_(record);
        continue;
      }
      for (std::uint32_t i = 0; i < record.count; ++i) state_.opened.insert(record.chunk + i);
    }
    return {};
  }

  ByteSpan bytes_;
  const std::function<void(const OverlayRecord&)>& load_;
  OverlayMapFile::Replayed state_;
};

}  // namespace

Result<OverlayMapFile::Replayed> OverlayMapFile::replay(
    ByteSpan bytes, VolumeId volume, const std::function<void(const OverlayRecord&)>& load) {
  const auto header =
      TRY(decode_overlay_map_header(bytes.first(std::min(bytes.size(), kOverlayMapHeaderBytes))));
  if (header.volume != volume) {
    return corrupt(fmt::format("overlay map: it is of {}, not of {}", header.volume.text(), volume.text()));
  }
  return Replay(bytes, load).run(header.salt);
}

Status OverlayMapFile::append(SnapshotId base, ByteCount size, std::vector<OverlayRecord> records) {
  return put({.base = base, .size = size, .records = std::move(records)});
}

Status OverlayMapFile::append_opened(const std::vector<std::uint64_t>& chunks) {
  TRY(put({.base = base_, .size = size_, .records = opened_records(chunks)}));
  opened_.insert(chunks.begin(), chunks.end());
  return {};
}

Status OverlayMapFile::append_closed() {
  TRY(put({.base = base_, .size = size_, .flags = OverlayTransaction::kClosed, .records = {}}));
  opened_.clear();
  return {};
}

Status OverlayMapFile::put(OverlayTransaction transaction) {
  if (!file_)
    return Error(ErrorCode::kIo,
                 directory_ + "/map: a write failed before, and the map has to be written again");
  transaction.sequence = sequence_ + 1;
  const ByteVector encoded = encode(transaction, salt_);
  Status written = file_->append(encoded);
  if (written.ok()) written = file_->sync();
  if (!written.ok()) {
    file_.reset();
    return written;
  }
  bytes_ += encoded.size();
  sequence_ = transaction.sequence;
  base_ = transaction.base;
  size_ = transaction.size;
  return {};
}

Status OverlayMapFile::rewrite(SnapshotId base, ByteCount size, std::vector<OverlayRecord> records) {
  const std::uint64_t salt = random_u64();
  OverlayTransaction whole{.sequence = sequence_ + 1,
                           .base = base,
                           .size = size,
                           .flags = OverlayTransaction::kWhole,
                           .records = std::move(records)};
  const auto opened = opened_records(opened_);
  whole.records.insert(whole.records.end(), opened.begin(), opened.end());
  const ByteVector header = encode(OverlayMapHeader{volume_, salt});
  const ByteVector encoded = encode(whole, salt);
  auto written = write_new(header, encoded);
  if (!written.ok()) {
    if (!file_) return written.take_error();
    // The old file still takes appends, so a failed rewrite of a map that is too large is not an error.
    limit_ = 2 * bytes_;
    whole.flags = 0;
    return put(std::move(whole));
  }
  // Until the directory is synced, a crash may leave either file: nothing is appended to the old one from
  // here on.
  file_.reset();
  TRY(files_.rename(directory_ + kNewName, directory_ + kName));
  TRY(files_.sync_directory(directory_));
  file_ = written.take();
  sequence_ = whole.sequence;
  salt_ = salt;
  base_ = base;
  size_ = size;
  bytes_ = header.size() + encoded.size();
  limit_ = std::max(kSmallestLimitBytes, 4 * bytes_);
  return {};
}

Result<std::unique_ptr<WritableFile>> OverlayMapFile::write_new(ByteSpan header, ByteSpan transaction) {
  const std::string path = directory_ + kNewName;
  if (Status removed = files_.remove(path); !removed.ok() && removed.error().code() != ErrorCode::kNotFound) {
    return removed.take_error();
  }
  auto file = TRY(files_.create(path));
  TRY(file->append(header));
  TRY(file->append(transaction));
  TRY(file->sync());
  return file;
}

}  // namespace ashlar
