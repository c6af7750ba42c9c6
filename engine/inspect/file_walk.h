// FileWalk: searches a file system for the files that the rules name. It enters only folders that a rule
// leads into, and stops when the budget is spent. Internal to the module.
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

  // Makes a walk whose findings go to `report` and doubts to `part`.
  FileWalk(const ExtFileSystem& files, Budget& budget, DiskReport& report, InspectedPart& part,
           std::stop_token stop);

  // Runs the walk. Returns kCancelled when it is stopped; a fault of the file system is a doubt, not an
  // error.
  Status run();

 private:
  using Inode = ExtFileSystem::Inode;
  using Node = ExtFileSystem::Node;

  // The progress along a pattern: names[at] is to match next.
  struct Position {
    const PathPattern* pattern = nullptr;
    std::size_t at = 0;
    bool is_anything() const { return pattern->names[at] == "**"; }
  };
  // An entry that patterns lead to.
  struct Step {
    std::string name;
    Inode inode = 0;
    std::vector<const Rule*> ends;  // rules of patterns that end with this entry
    std::vector<Position> onwards;  // patterns that lead into it, if it is a folder
    bool is_named = false;          // a pattern other than "**" matched it: then links are followed
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
  bool is_too_deep_ = false;  // the doubt was added: a folder within itself would add it without end
};

}  // namespace ashlar
