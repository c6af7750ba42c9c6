#include "shapes/damage_output.h"

#include <fmt/format.h>

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

}  // namespace

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
          {"what", damage.what},
          {"unread", damage.is_unread},
          {"sound_in", sound_in},
          {"losses", losses}};
}

Json sound_again_json(const SoundAgain& sound) {
  return {{"object", sound.object},
          {"segment", sound.segment ? Json(sound.segment->hex()) : Json(nullptr)},
          {"frame", sound.frame ? Json(*sound.frame) : Json(nullptr)},
          {"node", sound.node ? Json(sound.node->hex()) : Json(nullptr)}};
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
  text += ": " + damage.what + "\n";
  for (const PackId& pack : damage.sound_in) text += fmt::format("  sound in pack {}\n", pack.hex());
  if (damage.losses.empty() && damage.sound_in.empty()) text += "  no snapshot needs it\n";
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

}  // namespace ashlar
