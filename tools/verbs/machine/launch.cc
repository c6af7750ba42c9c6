// ashlar launch: machines on fresh volumes of an image or a snapshot.
#include <fmt/format.h>

#include <algorithm>

#include "action/instances.h"
#include "action/templates.h"
#include "program/cli.h"
#include "program/host_option.h"
#include "program/output.h"
#include "program/store_option.h"
#include "shapes/instance_output.h"
#include "shapes/launch_options.h"
#include "shapes/mapping_words.h"
#include "shapes/template_words.h"

namespace ashlar {
namespace {

constexpr unsigned kMaxCount = 1000;
constexpr std::uint64_t kDefaultMemory = std::uint64_t{1} << 30U;

struct Options {
  LaunchChoices choices;
  std::string from_template;
  unsigned count = 1;
};

// Returns the machine that the choices state; the defaults fill in what they leave open.
InstanceRecord shape_of(const LaunchChoices& choices) {
  InstanceRecord shape;
  shape.name = choices.name;
  shape.memory = ByteCount{choices.memory.value == 0 ? kDefaultMemory : choices.memory.value};
  shape.cpus = std::max(choices.cpus, 1U);
  shape.kernel = choices.kernel;
  shape.initrd = choices.initrd;
  shape.append = choices.append;
  if (!choices.accelerator.empty()) shape.accelerator = choices.accelerator;
  if (!choices.network.empty()) shape.network = choices.network;
  return shape;
}

Result<RunInstancesRequest> request_of(const LaunchChoices& choices) {
  RunInstancesRequest request;
  if (const auto image = ImageId::parse(choices.source); image.ok()) {
    request.source = image.value();
    if (choices.size.value != 0) return invalid("an image has --map DEVICE=,size=SIZE in place of --size");
  } else {
    request.source = TRY(SnapshotId::parse(choices.source));
    if (!choices.mappings.empty()) return invalid("--map is for images: a snapshot is one disk");
  }
  request.mappings = TRY(parse_mappings(choices.mappings));
  request.size = choices.size;
  request.shape = shape_of(choices);
  request.keep_volumes = choices.keep_volumes;
  return request;
}

Status check(Options& options) {
  LaunchChoices& choices = options.choices;
  TRY(check_launch_options(choices));
  if (!options.from_template.empty()) {
    TRY(parse_template_reference(options.from_template));
    return {};
  }
  if (choices.source.empty()) return invalid("give an image, a snapshot or --template");
  // An image may have a kernel of its own, and a template one of any kind.
  const bool needs_kernel = SnapshotId::parse(choices.source).ok() && choices.kernel.empty();
  if (needs_kernel && !(choices.initrd.empty() && choices.append.empty()))
    return invalid("--initrd and --append need --kernel");
  return {};
}

// Returns the choices of the command line over those of the template.
Result<LaunchChoices> choices_of(const Globals& globals, const Options& options) {
  if (options.from_template.empty()) return options.choices;
  const OpenStore store = TRY(open_for_actions(globals));
  const TemplateReference wanted = TRY(parse_template_reference(options.from_template));
  const LaunchTemplate record = TRY(find_launch_template(*store.repo, store.caller, wanted.name));
  LaunchChoices choices = merged(TRY(template_version(record, wanted.version)).choices, options.choices);
  if (choices.source.empty())
    return invalid(fmt::format("launch template '{}' names no image: give one", wanted.name));
  return choices;
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  const LaunchChoices choices = TRY(choices_of(globals, options));
  const OpenHost open = TRY(open_host(globals));
  RunInstancesRequest request = TRY(request_of(choices));
  request.count = options.count;
  request.launched = [&globals](const InstanceRecord& record) {
    if (!globals.json) print(record.id.text() + "\n");
  };
  std::vector<InstanceId> ids;
  for (const InstanceRecord& record : TRY(run_instances(*open.host, open.caller, request)))
    ids.push_back(record.id);
  if (!globals.json) return ExitCode::kDone;
  Json instances = Json::array();
  for (const InstanceDescription& one : TRY(describe_instances(*open.host, open.caller, ids)))
    instances.push_back(instance_json(one));
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
                  "The image or snapshot that their disks start as; a template may name it",
                  Presence::kOptional);
  verb.text("--template", "NAME[:VERSION]", options->from_template,
            "Take what is not given here from a launch template: its default version, a number, $Latest or "
            "$Default");
  verb.number("--count", 1, kMaxCount, options->count, "The number of machines [1]");
  add_launch_options(verb, options->choices);
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace

void add_launch(Cli& cli) { add(cli, "launch"); }
void add_image_launch(Cli& cli) { add(cli, "image launch"); }

}  // namespace ashlar
