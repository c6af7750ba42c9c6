// FileWalk: looks in a file system for what the rules name. It goes into those folders alone that a rule
// leads into, and only as far as the budget reaches.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "inspect/ext_file_system.h"
#include "inspect/report.h"
#include "inspect/rules.h"

namespace ashlar {

class FileWalk {
 public:
  static constexpr unsigned kDeepest = 32;

  // Findings go to `report`, doubts to `part`.
  FileWalk(const ExtFileSystem& files, Budget& budget, DiskReport& report, InspectedPart& part,
           std::stop_token stop);

  // kCancelled when it is stopped; whatever is wrong with the file system is a doubt.
  Status run();

 private:
  using Inode = ExtFileSystem::Inode;
  using Node = ExtFileSystem::Node;

  // How far a pattern has been followed: names[at] is to match next.
  struct Position {
    const PathPattern* pattern = nullptr;
    std::size_t at = 0;
    bool is_anything() const { return pattern->names[at] == "**"; }
  };
  // An entry that patterns lead to.
  struct Step {
    std::string name;
    Inode inode = 0;
    std::vector<const Rule*> ends;  // of patterns that end with it
    std::vector<Position> onwards;  // into it, if it is a folder
    bool is_named = false;          // not only by "**": then links are followed
  };

  bool choose_patterns();
  Step step_to(std::string_view name, Inode inode, const std::vector<Position>& positions) const;
  std::vector<Step> steps_in(Inode folder, const std::string& path, const std::vector<Position>& positions);
  Status visit(Inode folder, const std::string& path, unsigned depth, const std::vector<Position>& positions);
  Status take(Inode folder, Step& step, const std::string& path, unsigned depth);
  void judge(const Step& step, const Node& node, const std::string& path);
  void doubt(const std::string& path, const std::string& why);
  bool may_meet_name();
  bool is_over() const { return met_too_many_ || files_.is_exhausted(); }

  const ExtFileSystem& files_;
  Budget& budget_;
  DiskReport& report_;
  InspectedPart& part_;
  std::stop_token stop_;
  std::vector<PathPattern> patterns_;
  bool met_too_many_ = false;
  bool is_too_deep_ = false;  // said once: a folder within itself would say it without end
};

}  // namespace ashlar
