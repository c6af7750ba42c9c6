// ashlar launch: machines on fresh volumes of one snapshot.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli.h"
#include "image/access.h"
#include "image/register.h"
#include "image_store.h"
#include "instance_output.h"
#include "machine_host.h"
#include "mapping_words.h"
#include "output.h"

namespace ashlar {
namespace {

constexpr unsigned kMaxCount = 1000;
constexpr const char* kRootDevice = "/dev/sda";

struct Options {
  std::string what;  // a snapshot or an image
  std::vector<std::string> maps;
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

// What a snapshot or an image says of its machines.
Result<MachineSpec> spec_of_snapshot(ImageStore& store, SnapshotId id, const Options& options) {
  const SnapshotRecord snapshot = TRY(store.repo().snapshots().get(id));
  MachineSpec spec;
  ImageDevice disk;
  disk.name = kRootDevice;
  disk.content = {id, snapshot.content, snapshot.size};
  disk.size = ByteCount{options.size == 0 ? snapshot.size.value : options.size};
  spec.devices = {disk};
  return spec;
}

Status check_launchable(const ImageRecord& image) {
  if (image.state != ImageState::kAvailable)
    return invalid(fmt::format("{} is {}, not available", image.id.text(), image_state_name(image.state)));
  if (image.architecture != Architecture::kX8664 && image.architecture != Architecture::kI386)
    return unsupported(fmt::format("{} is for {}: this program runs machines of x86_64 and i386",
                                   image.id.text(), architecture_name(image.architecture)));
  if (image.boot_mode == BootMode::kUefi)
    return unsupported(image.id.text() + " needs UEFI: machines have a BIOS here");
  if (is_deprecated(image, UtcTime::now()))
    print_warning(fmt::format("{} is deprecated since {}", image.id.text(), image.deprecated->iso8601()));
  return {};
}

Result<MachineSpec> spec_of_image(ImageStore& store, ImageId id, const Options& options) {
  if (options.size != 0) return invalid("an image has --map DEVICE=,size=SIZE in place of --size");
  const ImageRecord image = TRY(store.find(id));
  TRY(check_launchable(image));
  MachineSpec spec;
  spec.image = id;
  spec.root_device_type = image.root_device_type;
  spec.boot = image.boot;
  ImageRecord mapped = image;
  mapped.devices = TRY(overridden(image.devices, TRY(parse_mappings(options.maps))));
  TRY(fill_contents(store.repo().snapshots(), mapped));
  TRY(check_limits(mapped));
  if (mapped.devices.size() > kMaxInstanceDevices)
    return invalid(fmt::format("{} maps {} devices: a machine has at most {}", id.text(),
                               mapped.devices.size(), kMaxInstanceDevices));
  spec.devices = std::move(mapped.devices);
  const auto root = std::ranges::find(spec.devices, image.root_device, &ImageDevice::name);
  std::rotate(spec.devices.begin(), root, root + 1);
  return spec;
}

Result<MachineSpec> spec_of(ImageStore& store, const Options& options) {
  const auto image = ImageId::parse(options.what);
  if (image.ok()) return spec_of_image(store, image.value(), options);
  if (!options.maps.empty()) return invalid("--map is for images: a snapshot is one disk");
  return spec_of_snapshot(store, TRY(SnapshotId::parse(options.what)), options);
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
  const bool is_image = ImageId::parse(options.what).ok();
  if (!is_image && !SnapshotId::parse(options.what).ok())
    return invalid(fmt::format("'{}' is the id of neither a snapshot nor an image", options.what));
  TRY(parse_mappings(options.maps));
  InstanceRecord shape = shape_of(options);
  if (is_image && shape.kernel.empty()) shape.kernel = "/kernel of the image";
  shape.devices = {{kRootDevice, VolumeId{1}, true, {}}};
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
  ImageStore store = TRY(ImageStore::open(globals));
  MachineSpec spec = TRY(spec_of(store, options));
  const auto host = TRY(MachineHost::open(globals));
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

void add(Cli& cli, const char* name) {
  auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb(
      name, "Start QEMU machines, each on fresh volumes of an image or a snapshot, and print their ids",
      "  ashlar launch ami-01a2b3c4d5e6f7089 --count 10 --name web --memory 2G --cpus 2\n"
      "  # with a larger first disk and without the second one\n"
      "  ashlar launch ami-01a2b3c4d5e6f7089 --map /dev/sda=,size=40G --map /dev/sdb=no-device\n"
      "  # with a kernel of the host, for an image without a boot loader\n"
      "  ashlar launch snap-01a2b3c4d5e6f7089 --kernel vmlinuz --initrd initrd.img --append 'root=/dev/vda "
      "console=ttyS0'");
  verb.positional("IMAGE|SNAP", "IMAGE|SNAP", options->what, "What their disks start as");
  verb.number("--count", 1, kMaxCount, options->count, "How many [1]");
  verb.text("--name", "TEXT", options->name, "A name; of several machines each gets its number behind it");
  verb.size("--memory", options->memory, "Memory of each [1G]");
  verb.number("--cpus", 1, kMaxInstanceCpus, options->cpus, "Processors of each [1]");
  verb.size("--size", options->size,
            "Of a snapshot: size of the disk, at least the snapshot's [the snapshot's]");
  verb.texts("--map", "DEVICE=WHAT", options->maps,
             "Of an image: change, replace, add or leave out a device, as for 'image create'; may be given "
             "more than "
             "once");
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

}  // namespace

void add_launch(Cli& cli) { add(cli, "launch"); }
void add_image_launch(Cli& cli) { add(cli, "image launch"); }

}  // namespace ashlar
