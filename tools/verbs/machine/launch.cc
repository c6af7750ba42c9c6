// ashlar launch: machines on fresh volumes of an image or a snapshot.
#include <fmt/format.h>

#include <algorithm>

#include "action/templates.h"
#include "image/access.h"
#include "image/register.h"
#include "machine_host.h"
#include "program/cli.h"
#include "program/image_store.h"
#include "program/output.h"
#include "shapes/instance_output.h"
#include "shapes/launch_options.h"
#include "shapes/mapping_words.h"
#include "shapes/template_words.h"

namespace ashlar {
namespace {

constexpr unsigned kMaxCount = 1000;
constexpr const char* kRootDevice = "/dev/sda";

constexpr std::uint64_t kDefaultMemory = std::uint64_t{1} << 30U;

struct Options {
  LaunchChoices choices;
  std::string from_template;
  unsigned count = 1;
};

// What a snapshot or an image says of its machines.
Result<MachineSpec> spec_of_snapshot(ImageStore& store, SnapshotId id, const LaunchChoices& choices) {
  const SnapshotRecord snapshot = TRY(store.repo().snapshots().get(id));
  MachineSpec spec;
  ImageDevice disk;
  disk.name = kRootDevice;
  disk.content = {id, snapshot.content, snapshot.size};
  disk.size = choices.size.value == 0 ? snapshot.size : choices.size;
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

Result<MachineSpec> spec_of_image(ImageStore& store, ImageId id, const LaunchChoices& choices) {
  if (choices.size.value != 0) return invalid("an image has --map DEVICE=,size=SIZE in place of --size");
  const ImageRecord image = TRY(store.find(id));
  TRY(check_launchable(image));
  MachineSpec spec;
  spec.image = id;
  spec.root_device_type = image.root_device_type;
  spec.boot = image.boot;
  ImageRecord mapped = image;
  mapped.devices = TRY(overridden(image.devices, TRY(parse_mappings(choices.mappings))));
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

// Empty text and 0 are left to the defaults.
InstanceRecord shape_of(const LaunchChoices& choices) {
  InstanceRecord shape;
  shape.memory = ByteCount{choices.memory.value == 0 ? kDefaultMemory : choices.memory.value};
  shape.cpus = std::max(choices.cpus, 1U);
  shape.kernel = choices.kernel;
  shape.initrd = choices.initrd;
  shape.append = choices.append;
  if (!choices.accelerator.empty()) shape.accelerator = choices.accelerator;
  if (!choices.network.empty()) shape.network = choices.network;
  return shape;
}

Result<MachineSpec> spec_of(ImageStore& store, const LaunchChoices& choices) {
  const auto image = ImageId::parse(choices.source);
  if (!image.ok() && !choices.mappings.empty()) return invalid("--map is for images: a snapshot is one disk");
  MachineSpec spec =
      TRY(image.ok() ? spec_of_image(store, image.value(), choices)
                     : spec_of_snapshot(store, TRY(SnapshotId::parse(choices.source)), choices));
  spec.shape = shape_of(choices);
  spec.keep_volumes = choices.keep_volumes;
  return spec;
}

Status check(Options& options) {
  LaunchChoices& choices = options.choices;
  TRY(check_launch_options(choices));
  if (!options.from_template.empty()) {
    TRY(parse_template_reference(options.from_template));
    return {};
  }
  if (choices.source.empty()) return invalid("give an image, a snapshot, or --template");
  // An image may have a kernel of its own, and a template one of any kind.
  const bool needs_kernel = SnapshotId::parse(choices.source).ok() && choices.kernel.empty();
  if (needs_kernel && !(choices.initrd.empty() && choices.append.empty()))
    return invalid("an initrd or a kernel's command line without a kernel");
  return {};
}

// What the command line says, over what the template says.
Result<LaunchChoices> choices_of(ImageStore& store, const Options& options) {
  if (options.from_template.empty()) return options.choices;
  const TemplateReference wanted = TRY(parse_template_reference(options.from_template));
  SilentNotices notices;
  const LaunchTemplate record =
      TRY(find_launch_template(store.repo(), Caller{store.account(), notices, {}}, wanted.name));
  LaunchChoices choices = merged(TRY(template_version(record, wanted.version)).choices, options.choices);
  if (choices.source.empty())
    return invalid(fmt::format("launch template '{}' names no image: give one", wanted.name));
  return choices;
}

// "web-1" to "web-10" of ten machines called "web".
std::string name_of(const std::string& name, unsigned number, unsigned count) {
  return name.empty() || count == 1 ? name : fmt::format("{}-{}", name, number);
}

Error after(const std::vector<InstanceRecord>& launched, Error error) {
  if (launched.empty()) return error;
  std::string ids;
  for (const InstanceRecord& record : launched) ids += " " + record.id.text();
  return Error(error.code(), fmt::format("{}; running already:{}", error.text(), ids));
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const LaunchChoices choices = TRY(choices_of(store, options));
  MachineSpec spec = TRY(spec_of(store, choices));
  spec.owner = TRY(volume_owner(globals, store.repo().config().id));
  const auto host = TRY(MachineHost::open(globals));
  std::vector<InstanceRecord> launched;
  for (unsigned number = 1; number <= options.count; ++number) {
    spec.shape.name = name_of(choices.name, number, options.count);
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
      "  ashlar launch --template web:3 --count 2\n"
      "  # with a kernel of the host, for an image without a boot loader\n"
      "  ashlar launch snap-01a2b3c4d5e6f7089 --kernel vmlinuz --initrd initrd.img --append 'root=/dev/vda "
      "console=ttyS0'");
  verb.positional("IMAGE|SNAP", "IMAGE|SNAP", options->choices.source,
                  "What their disks start as; a template may say it", Presence::kOptional);
  verb.text("--template", "NAME[:VERSION]", options->from_template,
            "Take what is not given here from a launch template: its default version, a number, $Latest or "
            "$Default");
  verb.number("--count", 1, kMaxCount, options->count, "How many [1]");
  add_launch_options(verb, options->choices);
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace

void add_launch(Cli& cli) { add(cli, "launch"); }
void add_image_launch(Cli& cli) { add(cli, "image launch"); }

}  // namespace ashlar
