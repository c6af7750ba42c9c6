#include "shapes/damage_output.h"

#include <fmt/format.h>

#include <algorithm>

namespace ashlar {
namespace {

// Losses are named by snapshot; volumes of unknown size are cut nowhere.
constexpr ByteCount kUncut{kMaxVolumeBytes};

template <class Id>
Json texts_json(const std::vector<Id>& ids) {
  Json texts = Json::array();
  for (const Id id : ids) texts.push_back(id.text());
  return texts;
}

std::string users_text(const Damage::Loss& loss) {
  std::string text;
  for (const ImageId image : loss.images) text += fmt::format("    a disk of {}\n", image.text());
  for (const VolumeId volume : loss.volumes) text += fmt::format("    base of {}\n", volume.text());
  return text;
}

// The contents of a pack with damaged ends may be unknown; then missing segments are named by themselves.
std::string no_loss_text(const Damage& damage) {
  if (!is_of_pack(damage)) return {};
  return damage.segment || damage.node ? "  no snapshot needs it\n" : "  no snapshot is known to need it\n";
}

}  // namespace

bool is_of_pack(const Damage& damage) {
  return damage.object.starts_with("packs/") || damage.object.starts_with("meta/");
}

namespace {

Json damage_json(const Damage& damage) {
  Json losses = Json::array();
  for (const Damage::Loss& loss : damage.losses) {
    losses.push_back({{"snapshot", loss.snapshot.text()},
                      {"ranges", ranges_json(loss.ranges, kUncut)},
                      {"images", texts_json(loss.images)},
                      {"volumes", texts_json(loss.volumes)}});
  }
  Json sound_in = Json::array();
  for (const PackId& pack : damage.sound_in) sound_in.push_back(pack.hex());
  return {{"object", damage.object},
          {"segment", damage.segment ? Json(damage.segment->hex()) : Json(nullptr)},
          {"frame", damage.frame ? Json(*damage.frame) : Json(nullptr)},
          {"node", damage.node ? Json(damage.node->hex()) : Json(nullptr)},
          {"what", damage.what},
          {"unread", damage.is_unread},
          {"sound_in", sound_in},
          {"losses", losses}};
}

Json sound_again_one_json(const SoundAgain& sound) {
  return {{"object", sound.object},
          {"segment", sound.segment ? Json(sound.segment->hex()) : Json(nullptr)},
          {"frame", sound.frame ? Json(*sound.frame) : Json(nullptr)},
          {"node", sound.node ? Json(sound.node->hex()) : Json(nullptr)}};
}

}  // namespace

Json damages_json(const VerifyReport& report) {
  Json damages = Json::array();
  for (const Damage& damage : report.damages) damages.push_back(damage_json(damage));
  return damages;
}

Json sound_again_json(const VerifyReport& report) {
  Json all = Json::array();
  for (const SoundAgain& sound : report.sound_again) all.push_back(sound_again_one_json(sound));
  return all;
}

std::string sound_again_text(const SoundAgain& sound) {
  std::string text = "sound again: " + sound.object;
  if (sound.segment) text += ", segment " + sound.segment->hex();
  if (sound.frame) text += fmt::format(", frame {}", *sound.frame);
  if (sound.node) text += ", node " + sound.node->hex();
  return text + "\n";
}

std::string damage_text(const Damage& damage) {
  std::string text = (damage.is_unread ? "not read: " : "damaged: ") + damage.object;
  if (damage.segment) text += ", segment " + damage.segment->hex();
  if (damage.frame) text += fmt::format(", frame {}", *damage.frame);
  if (damage.node) text += ", node " + damage.node->hex();
  text += ": " + damage.what + "\n";
  for (const PackId& pack : damage.sound_in) text += fmt::format("  sound in pack {}\n", pack.hex());
  if (damage.losses.empty() && damage.sound_in.empty()) text += no_loss_text(damage);
  for (const Damage::Loss& loss : damage.losses) {
    if (loss.ranges.empty()) text += fmt::format("  {} the whole snapshot\n", loss.snapshot.text());
    for (const BlockRange& range : loss.ranges) {
      text += fmt::format("  {} blocks {} to {} ({} bytes at offset {})\n", loss.snapshot.text(),
                          range.first.value, range.end().value - 1, byte_count(range.count).value,
                          byte_offset(range.first).value);
    }
    text += users_text(loss);
  }
  return text;
}

std::string damage_summary(const VerifyReport& report) {
  if (report.damages.empty()) return "no damage found";
  return fmt::format("places damaged: {}, not read: {}", report.damaged(),
                     report.damages.size() - report.damaged());
}

ExitCode end_of_check(const VerifyReport& report) {
  for (const std::string& line : report.unrecorded)
    print_note(
        "ashlar: warning: what was found could not be recorded, so later captures may rely on damage: " +
        line);
  if (report.damages.empty()) return ExitCode::kDone;
  if (report.damaged() == 0) {
    print_note(fmt::format("ashlar: {} could not be read, named above: check again when that is mended",
                           count_text(report.damages.size(), "place")));
    return ExitCode::kFailed;
  }
  const bool is_lost = std::ranges::any_of(
      report.damages, [](const Damage& d) { return !d.losses.empty() || !is_of_pack(d); });
  print_note(fmt::format("ashlar: damage found in {}, named above: {}", count_text(report.damaged(), "place"),
                         is_lost ? "'ashlar repair' heals what it finds elsewhere"
                                 : "no snapshot has lost anything, and 'ashlar collect' drops it"));
  return ExitCode::kDamaged;
}

}  // namespace ashlar
