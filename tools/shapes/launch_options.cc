#include "shapes/launch_options.h"

#include <fmt/format.h>

#include <filesystem>

#include "document/instance_record.h"
#include "shapes/mapping_words.h"

namespace ashlar {
namespace {

std::string absolute(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().native();
}

}  // namespace

void add_launch_options(Verb& verb, LaunchChoices& choices) {
  verb.text("--name", "TEXT", choices.name, "A name; of several machines each gets its number after it");
  verb.size("--memory", choices.memory.value, "Memory of each [1G]");
  verb.number("--cpus", 1, kMaxInstanceCpus, choices.cpus, "Processors of each [1]");
  verb.size("--size", choices.size.value,
            "Of a snapshot: size of the disk, at least the snapshot's [the snapshot's]");
  verb.texts("--map", "DEVICE=WHAT", choices.mappings,
             "Of an image: change, replace, add or leave out a device, as for 'image create'; may be given "
             "more than once");
  verb.text("--kernel", "FILE", choices.kernel,
            "Boot this Linux kernel, which must stay where it is [the disk's boot loader]");
  verb.text("--initrd", "FILE", choices.initrd, "With --kernel: its initial RAM disk");
  verb.text("--append", "TEXT", choices.append, "With --kernel: its command line");
  verb.text("--accel", "NAME", choices.accelerator,
            "kvm, tcg, or auto: what $ASHLAR_ACCEL says, else kvm where it works [auto]");
  verb.text("--network", "NAME", choices.network,
            "none, or user: outgoing connections through the host [none]");
  verb.flag("--keep-volumes", choices.keep_volumes, "Keep their volumes when they are terminated");
}

Status check_launch_options(LaunchChoices& choices) {
  choices.kernel = absolute(choices.kernel);
  choices.initrd = absolute(choices.initrd);
  TRY(parse_mappings(choices.mappings));
  return check_limits(choices);
}

}  // namespace ashlar
