// DamageWarnings: tells the caller of the damage that an operation's reads have found, whether it succeeds or
// not. Internal to the module.
#pragma once

#include "base/notices.h"
#include "repo/repo.h"

namespace ashlar {

// Warns when it is destroyed.
class DamageWarnings {
 public:
  DamageWarnings(Repo& repo, Notices& notices) : repo_(repo), notices_(notices) {}
  DamageWarnings(const DamageWarnings&) = delete;
  DamageWarnings& operator=(const DamageWarnings&) = delete;
  ~DamageWarnings() {
    for (const std::string& line : repo_.take_damage_notes()) notices_.warn(line);
  }

 private:
  Repo& repo_;
  Notices& notices_;
};

}  // namespace ashlar
