// Output of `verify`: what is damaged, and what was found sound again.
#pragma once

#include <string>

#include "program/output.h"
#include "scrub/verify.h"

namespace ashlar {

Json damage_json(const Damage& damage);
Json sound_again_json(const SoundAgain& sound);

// Return lines, each with its end.
std::string damage_text(const Damage& damage);
std::string sound_again_text(const SoundAgain& sound);

}  // namespace ashlar
