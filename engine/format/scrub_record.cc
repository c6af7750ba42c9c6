#include "format/scrub_record.h"

#include <fmt/format.h>

#include <vector>

#include "format/binary_record.h"

namespace ashlar {
namespace {

constexpr BinaryRecordKind kState = {"ASHLSCRB", "scrub state", kScrubVersion, kScrubVersion};

// Neighbouring groups of one time.
struct Run {
  std::uint16_t groups = 0;
  UtcTime checked;
};

std::vector<Run> runs_of(const ScrubState& state) {
  std::vector<Run> runs;
  for (const UtcTime time : state.checked) {
    if (runs.empty() || runs.back().checked != time) runs.push_back({0, time});
    ++runs.back().groups;
  }
  return runs;
}

Error damaged(std::string_view what) { return corrupt(fmt::format("{}: {}", kState.name, what)); }

}  // namespace

ByteVector encode(const ScrubState& state) {
  const std::vector<Run> runs = runs_of(state);
  ByteWriter out = begin_record(kState, kScrubVersion);
  out.u16(static_cast<std::uint16_t>(runs.size()));
  out.zeros(4);
  out.bytes(state.store.span());
  out.u64(state.revision);
  out.bytes(state.nonce.span());
  for (const Run& run : runs) {
    out.u16(run.groups);
    out.u64(run.checked.unix_ns);
  }
  return finish_record(std::move(out));
}

Result<ScrubState> decode_scrub_state(ByteSpan bytes) {
  ByteReader in = TRY(open_record(kState, bytes)).fields;
  ScrubState state;
  const std::uint16_t count = in.u16();
  if (!in.reserved(4)) return damaged("reserved bytes are not zero");
  in.copy(state.store.span());
  state.revision = in.u64();
  in.copy(state.nonce.span());
  std::size_t at = 0;
  Run before;
  for (std::uint16_t i = 0; i < count; ++i) {
    const Run run{in.u16(), UtcTime{in.u64()}};
    if (!in.ok()) return damaged("wrong length");
    if (run.groups == 0 || run.groups > kScrubGroups - at) return damaged("wrong number of groups");
    if (i > 0 && run.checked == before.checked) return damaged("two runs of the same time");
    for (std::size_t end = at + run.groups; at < end; ++at) state.checked[at] = run.checked;
    before = run;
  }
  if (!in.done()) return damaged("wrong length");
  if (at != kScrubGroups) return damaged("wrong number of groups");
  return state;
}

}  // namespace ashlar
