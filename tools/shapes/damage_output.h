// Output of `verify`, `scrub` and `repair`: what is damaged, and what was found sound again.
#pragma once

#include <string>

#include "program/exit_code.h"
#include "program/output.h"
#include "scrub/verify.h"

namespace ashlar {

Json damages_json(const VerifyReport& report);
Json sound_again_json(const VerifyReport& report);

// Return lines, each with its end.
std::string damage_text(const Damage& damage);
std::string sound_again_text(const SoundAgain& sound);

// Returns whether the damage is in a pack, or is a pack that is missing.
bool is_of_pack(const Damage& damage);

// Returns "no damage found", or how many places are damaged and not read.
std::string damage_summary(const VerifyReport& report);
// Says on standard error what to do about the findings, and returns the exit code that stands for them.
ExitCode end_of_check(const VerifyReport& report);

}  // namespace ashlar
