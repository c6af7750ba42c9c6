#include "inspect/file_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <span>

namespace ashlar {
namespace {

// Where a file system that is not a root may be mounted: it does not tell. A file system of /home/bob is
// inspected as one of /home and as a home, so no pattern is left out.
constexpr auto kMountPoints =
    std::to_array<std::string_view>({"/home", "/root", "/etc", "/var", "/var/lib", "/srv", "/opt"});
// The marks of a root, which has nearly all of them. A few are not enough: people have a bin and an etc of
// their own.
constexpr auto kRootMarks = std::to_array<std::string_view>({"bin", "etc", "sbin", "usr", "var"});
constexpr std::ptrdiff_t kEnoughRootMarks = 4;

// A mount point that is tried only when one of the marks exists: without a mark, too many files would be
// taken for those that lie there.
struct MarkedMountPoint {
  std::string_view path;
  std::span<const std::string_view> marks;
};
constexpr auto kLogMarks = std::to_array<std::string_view>({"journal", "wtmp", "btmp", "lastlog", "syslog"});
constexpr auto kCloudMarks = std::to_array<std::string_view>({"instances", "sem"});
constexpr auto kMarkedMountPoints =
    std::to_array<MarkedMountPoint>({{"/var/log", kLogMarks}, {"/var/lib/cloud", kCloudMarks}});

}  // namespace

FileWalk::FileWalk(const ExtFileSystem& files, Budget& budget, DiskReport& report, InspectedPart& part,
                   std::stop_token stop)
    : files_(files), budget_(budget), report_(report), part_(part), stop_(std::move(stop)) {}

void FileWalk::doubt(const std::string& path, const std::string& why) {
  add_doubt(part_, fmt::format("{}: {}", path.empty() ? "/" : printable(path), why));
}

bool FileWalk::may_meet_name() {
  met_too_many_ = budget_.names == 0;
  if (!met_too_many_) --budget_.names;
  return !met_too_many_;
}

// Chooses the patterns to follow. Returns false, with a doubt, when not even the root folder can be read.
bool FileWalk::choose_patterns() {
  std::set<std::string, std::less<>> names;
  const Status listed = files_.list(ExtFileSystem::kRoot, [&](std::string_view name, Inode) {
    names.emplace(name);
    return may_meet_name();
  });
  if (!listed.ok()) {
    doubt("", listed.error().text());
    return false;
  }
  patterns_ = patterns_below("");
  const auto has = [&](std::string_view mark) { return names.contains(mark); };
  if (std::ranges::count_if(kRootMarks, has) >= kEnoughRootMarks) return true;
  const auto add = [&](std::string_view mount_point) {
    std::vector<PathPattern> more = patterns_below(mount_point);
    std::ranges::move(more, std::back_inserter(patterns_));
  };
  std::ranges::for_each(kMountPoints, add);
  for (const MarkedMountPoint& marked : kMarkedMountPoints) {
    if (std::ranges::any_of(marked.marks, has)) add(marked.path);
  }
  // The rules are one array, so sorting by pointer restores their order.
  std::ranges::stable_sort(patterns_, {}, &PathPattern::rule);
  return true;
}

Status FileWalk::run() {
  if (choose_patterns()) {
    std::vector<Position> all;
    all.reserve(patterns_.size());
    for (const PathPattern& pattern : patterns_) all.push_back({&pattern, 0});
    TRY(visit(ExtFileSystem::kRoot, "", 0, all));
  }
  if (met_too_many_) doubt("", "it has more files than an inspection looks at");
  if (files_.is_exhausted()) doubt("", "more of it has to be read than an inspection reads");
  return {};
}

FileWalk::Step FileWalk::step_to(std::string_view name, Inode inode,
                                 const std::vector<Position>& positions) const {
  Step step;
  step.name = name;
  step.inode = inode;
  for (const Position& position : positions) {
    if (position.is_anything()) {
      step.ends.push_back(position.pattern->rule);
      step.onwards.push_back(position);
      continue;
    }
    const std::vector<std::string>& names = position.pattern->names;
    if (!matches(names[position.at], step.name)) continue;
    step.is_named = true;
    if (position.at + 1 == names.size()) {
      step.ends.push_back(position.pattern->rule);
    } else {
      step.onwards.push_back({position.pattern, position.at + 1});
    }
  }
  return step;
}

// Returns the entries of a folder that patterns lead to, sorted by name, so that two reports of one disk are
// equal.
std::vector<FileWalk::Step> FileWalk::steps_in(Inode folder, const std::string& path,
                                               const std::vector<Position>& positions) {
  std::vector<Step> steps;
  const Status listed = files_.list(folder, [&](std::string_view name, Inode inode) {
    Step step = step_to(name, inode, positions);
    if (!step.ends.empty() || !step.onwards.empty()) steps.push_back(std::move(step));
    return may_meet_name();
  });
  if (!listed.ok() && !is_over()) doubt(path, listed.error().text());
  std::ranges::sort(steps, {}, &Step::name);
  return steps;
}

Status FileWalk::visit(Inode folder, const std::string& path, unsigned depth,
                       const std::vector<Position>& positions) {
  if (stop_.stop_requested()) return cancelled();
  if (depth > kDeepest) {
    if (!std::exchange(is_too_deep_, true)) doubt(path, "folders are nested too deeply");
    return {};
  }
  for (Step& step : steps_in(folder, path, positions)) {
    if (is_over()) return {};
    TRY(take(folder, step, path + "/" + step.name, depth));
  }
  return {};
}

// Judges an entry and walks into it. A link that a pattern names stands for its target within this file
// system; entries that only "**" meets are judged where they lie.
Status FileWalk::take(Inode folder, Step& step, const std::string& path, unsigned depth) {
  auto node = files_.node(step.inode);
  if (node.ok() && node.value().kind == Node::Kind::kLink) {
    if (!step.is_named) return {};
    const auto target = files_.follow(folder, step.inode);
    if (!target.ok()) {
      if (!is_over()) doubt(path, target.error().text());
      return {};
    }
    if (!target.value()) return {};
    step.inode = *target.value();
    node = files_.node(step.inode);
  }
  if (!node.ok()) {
    if (!is_over()) doubt(path, node.error().text());
    return {};
  }
  if (node.value().is_encrypted) {
    doubt(path, "it is encrypted");
    return {};
  }
  judge(step, node.value(), path);
  if (node.value().kind != Node::Kind::kDirectory || step.onwards.empty()) return {};
  return visit(step.inode, path, depth + 1, step.onwards);
}

// Adds a finding for the first rule whose evidence is there.
void FileWalk::judge(const Step& step, const Node& node, const std::string& path) {
  const bool is_file = node.kind == Node::Kind::kFile;
  std::optional<std::string> content;
  for (const Rule* rule : step.ends) {
    bool found = rule->evidence == Evidence::kExists;
    if (is_file && node.size.value > 0) {
      if (needs_content(rule->evidence) && !content) {
        auto head = files_.head(step.inode, kContentBytes);
        if (!head.ok()) {
          if (!is_over()) doubt(path, head.error().text());
          return;
        }
        content = head.take();
      }
      found = found || rule->evidence == Evidence::kNotEmpty || (content && proves(rule->evidence, *content));
    }
    if (!found) continue;
    add_finding(report_, {part_.partition, printable(path), rule->kind, rule->reason});
    return;
  }
}

}  // namespace ashlar
