// ashlar launch: machines on fresh volumes of one snapshot.
#include <fmt/format.h>

#include <filesystem>

#include "cli.h"
#include "instance_output.h"
#include "machine_host.h"
#include "output.h"

namespace ashlar {
namespace {

constexpr unsigned kMaxCount = 1000;

struct Options {
  std::string snapshot;
  unsigned count = 1;
  std::string name;
  std::uint64_t memory = std::uint64_t{1} << 30U;
  unsigned cpus = 1;
  std::uint64_t size = 0;
  std::string kernel;
  std::string initrd;
  std::string append;
  std::string accelerator = "auto";
  std::string network = "none";
  bool keep_volumes = false;
};

std::string absolute(const std::string& path) {
  return path.empty() ? path : std::filesystem::absolute(path).lexically_normal().native();
}

// A shape that passes check_limits() once it has devices.
InstanceRecord shape_of(const Options& options) {
  InstanceRecord shape;
  shape.name = options.name;
  shape.memory = ByteCount{options.memory};
  shape.cpus = options.cpus;
  shape.kernel = absolute(options.kernel);
  shape.initrd = absolute(options.initrd);
  shape.append = options.append;
  shape.accelerator = options.accelerator;
  shape.network = options.network;
  return shape;
}

Status check(const Options& options) {
  InstanceRecord shape = shape_of(options);
  shape.devices = {{"/dev/sda", VolumeId{1}, true}};
  return check_limits(shape);
}

// "web-1" to "web-10" of ten machines called "web".
std::string name_of(const Options& options, unsigned number) {
  if (options.name.empty() || options.count == 1) return options.name;
  return fmt::format("{}-{}", options.name, number);
}

Error after(const std::vector<InstanceRecord>& launched, Error error) {
  if (launched.empty()) return error;
  std::string ids;
  for (const InstanceRecord& record : launched) ids += " " + record.id.text();
  return Error(error.code(), fmt::format("{}; running already:{}", error.text(), ids));
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  const auto host = TRY(MachineHost::open(globals));
  MachineSpec spec;
  spec.snapshot = TRY(SnapshotId::parse(options.snapshot));
  spec.size = ByteCount{options.size};
  spec.shape = shape_of(options);
  spec.keep_volumes = options.keep_volumes;
  std::vector<InstanceRecord> launched;
  for (unsigned number = 1; number <= options.count; ++number) {
    spec.shape.name = name_of(options, number);
    auto record = host->launch(spec);
    if (!record.ok()) return after(launched, record.take_error());
    if (!globals.json) print(record.value().id.text() + "\n");
    launched.push_back(record.take());
  }
  if (!globals.json) return ExitCode::kDone;
  Json instances = Json::array();
  for (const InstanceRecord& record : launched) {
    instances.push_back(instance_json(host->instances(), record, TRY(host->instances().state_of(record))));
  }
  print_json({{"instances", instances}});
  return ExitCode::kDone;
}

}  // namespace

void add_launch(Cli& cli) {
  auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb(
      "launch", "Start QEMU machines, each on a fresh volume of a snapshot, and print their ids",
      "  ashlar launch snap-01a2b3c4d5e6f7089 --count 10 --name web --memory 2G --cpus 2\n"
      "  # with a kernel of the host, for an image without a boot loader\n"
      "  ashlar launch snap-01a2b3c4d5e6f7089 --kernel vmlinuz --initrd initrd.img --append 'root=/dev/vda "
      "console=ttyS0'");
  verb.snapshot("SNAP", options->snapshot, "What their disks start as");
  verb.number("--count", 1, kMaxCount, options->count, "How many [1]");
  verb.text("--name", "TEXT", options->name, "A name; of several machines each gets its number behind it");
  verb.size("--memory", options->memory, "Memory of each [1G]");
  verb.number("--cpus", 1, kMaxInstanceCpus, options->cpus, "Processors of each [1]");
  verb.size("--size", options->size, "Size of the disk, at least the snapshot's [the snapshot's]");
  verb.text("--kernel", "FILE", options->kernel,
            "Boot this Linux kernel, which must stay where it is [the disk's boot loader]");
  verb.text("--initrd", "FILE", options->initrd, "With --kernel: its initial RAM disk");
  verb.text("--append", "TEXT", options->append, "With --kernel: its command line");
  verb.text("--accel", "NAME", options->accelerator,
            "kvm, tcg, or auto: what $ASHLAR_ACCEL says, else kvm where it works [auto]");
  verb.text("--network", "NAME", options->network, "none, or user: outwards through the host [none]");
  verb.flag("--keep-volumes", options->keep_volumes, "Keep their volumes when they are terminated");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
