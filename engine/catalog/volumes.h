// VolumeCatalog: records under `volumes/<id>`, replaced as a whole.
#pragma once

#include "catalog/record_folder.h"
#include "format/volume_record.h"

namespace ashlar {

struct VolumeKind {
  using Record = VolumeRecord;
  using Id = VolumeId;
  static constexpr std::string_view kFolder = "volumes/";
  static constexpr std::size_t kMaxBytes = kMaxVolumeRecordBytes;
  static ByteVector encode(const VolumeRecord& record) { return ashlar::encode(record); }
  static Result<VolumeRecord> decode(ByteSpan bytes) { return decode_volume_record(bytes); }
};

using VolumeCatalog = RecordFolder<VolumeKind>;

}  // namespace ashlar
