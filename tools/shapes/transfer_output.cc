#include "shapes/transfer_output.h"

namespace ashlar {

Json transfer_json(const ImageCopyReport& report, double seconds) {
  Json snapshots = Json::array();
  for (const SnapshotRecord& record : report.copy.records) snapshots.push_back(record.id.text());
  return {{"ImageId", report.image.id.text()},
          {"SourceImageId", report.image.source_image.text()},
          {"Snapshots", snapshots},
          {"segments_sent", report.copy.segments_sent},
          {"segment_bytes_sent", report.copy.segment_bytes_sent},
          {"nodes_sent", report.copy.nodes_sent},
          {"node_bytes_sent", report.copy.node_bytes_sent},
          {"seconds", seconds}};
}

}  // namespace ashlar
