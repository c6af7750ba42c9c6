#include "host/volume_metrics.h"

namespace ashlar {

void add_volume_metrics(MetricsText& text, ServedVolumes& served) {
  using Type = MetricsText::Type;
  struct Figure {
    const char* name;
    Type type;
    const char* help;
    std::uint64_t (*of)(const Volume&);
  };
  static constexpr Figure kFigures[] = {
      {"ashlar_volume_reads_total", Type::kCounter, "Reads of a volume.",
       [](const Volume& v) { return v.counters().reads.load(); }},
      {"ashlar_volume_missed_reads_total", Type::kCounter, "Reads that waited for the store.",
       [](const Volume& v) { return v.counters().missed_reads.load(); }},
      {"ashlar_volume_stalled_microseconds_total", Type::kCounter, "How long they waited, in sum.",
       [](const Volume& v) { return v.counters().stalled_ns.load() / 1000; }},
      {"ashlar_volume_writes_total", Type::kCounter, "Writes, trims and zeroes.",
       [](const Volume& v) { return v.counters().writes.load(); }},
      {"ashlar_volume_fetched_bytes_total", Type::kCounter, "Bytes that came from the store.",
       [](const Volume& v) { return v.counters().fetched_bytes.load(); }},
      {"ashlar_volume_dirty_bytes", Type::kGauge, "Written since the volume's snapshot.",
       [](const Volume& v) { return byte_count(v.overlay().counters().dirty).value; }},
      {"ashlar_volume_clean_bytes", Type::kGauge, "Held, and equal to the snapshot.",
       [](const Volume& v) { return byte_count(v.overlay().counters().clean).value; }},
      {"ashlar_volume_size_bytes", Type::kGauge, "Size of the volume.",
       [](const Volume& v) { return v.size().value; }}};
  text.single("ashlar_fetched_frames_total", Type::kCounter, "Frames read from packs, for all volumes.",
              served.fetched_frames());
  for (const Figure& figure : kFigures) {
    text.family(figure.name, figure.type, figure.help);
    served.for_each([&](VolumeId id, const Volume& volume) {
      text.sample(figure.of(volume), {{"volume", id.text()}});
    });
  }
}

}  // namespace ashlar
