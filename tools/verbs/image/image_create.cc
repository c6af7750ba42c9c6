// ashlar image create: registers an image of snapshots, or makes one of an instance.
#include "action/create_image.h"
#include "action/images.h"
#include "program/cli.h"
#include "program/host_option.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "program/terminal_notices.h"
#include "shapes/mapping_words.h"
#include "shapes/tag_words.h"

namespace ashlar {
namespace {

constexpr unsigned kMaxTimeout = 24 * 3600;

struct Options {
  std::string instance;
  bool no_reboot = false;
  unsigned timeout = 60;
  bool require_clean = false;
  std::string name;
  std::string description;
  std::string root_device;
  std::vector<std::string> maps;
  std::vector<std::string> tags;
  std::string architecture = "x86_64";
  std::string root_device_type = "ebs";
  std::string boot_mode = "legacy-bios";
  bool ena_support = false;
  std::string sriov;
  std::string tpm;
  std::string imds;
  std::string platform;
  std::string kernel;
  std::string ramdisk;
  std::string command_line;
};

Result<SnapshotId> parse_boot_file(const std::string& word) {
  if (word.empty()) return SnapshotId{};  // none
  const SnapshotId id = TRY(SnapshotId::parse(word));
  if (id.value == 0) return invalid("no snapshot has the id " + word);
  return id;
}

Result<RegisterImage> request_of(const Options& options) {
  RegisterImage request;
  request.name = options.name;
  request.description = options.description;
  request.architecture = TRY(parse_architecture(options.architecture));
  request.root_device_type = TRY(parse_root_device_type(options.root_device_type));
  request.boot_mode = TRY(parse_boot_mode(options.boot_mode));
  request.ena_support = options.ena_support;
  request.sriov_net_support = options.sriov;
  request.tpm_support = options.tpm;
  request.imds_support = options.imds;
  request.platform = options.platform;
  request.kernel = TRY(parse_boot_file(options.kernel));
  request.ramdisk = TRY(parse_boot_file(options.ramdisk));
  request.kernel_command_line = options.command_line;
  request.devices = TRY(devices_of(TRY(parse_mappings(options.maps))));
  request.root_device = options.root_device;
  request.tags = TRY(parse_tags(options.tags));
  request.must_be_clean = options.require_clean;
  return request;
}

// An image of an instance takes everything else from the instance.
Status check_of_instance(const Options& options) {
  TRY(InstanceId::parse(options.instance));
  TRY(check_image_name(options.name));
  const Options plain;
  const bool has_more = !options.maps.empty() || !options.root_device.empty() || !options.kernel.empty() ||
                        !options.ramdisk.empty() || !options.command_line.empty() ||
                        options.architecture != plain.architecture || options.boot_mode != plain.boot_mode ||
                        options.root_device_type != plain.root_device_type || options.ena_support ||
                        !options.sriov.empty() || !options.tpm.empty() || !options.imds.empty() ||
                        !options.platform.empty();
  if (has_more)
    return invalid(
        "with --from-instance only --name, --description, --tag, --no-reboot and --require-clean are given");
  return check_tags(TRY(parse_tags(options.tags)));
}

Status check(const Options& options) {
  if (options.name.empty()) return invalid("--name is required");
  if (!options.instance.empty()) return check_of_instance(options);
  if (options.no_reboot) return invalid("--no-reboot is for --from-instance");
  if (options.maps.empty()) return invalid("give --map for each device of the image, or --from-instance");
  return check_request(TRY(request_of(options)));
}

Result<ImageRecord> create_of_instance(const Globals& globals, const Options& options) {
  Stop stop;
  const OpenHost open = TRY(open_host(globals, stop.token()));
  TRY(stop.watch());
  CreateImageRequest request;
  request.instance = TRY(InstanceId::parse(options.instance));
  request.name = options.name;
  request.description = options.description;
  request.tags = TRY(parse_tags(options.tags));
  request.reboot = !options.no_reboot;
  request.seconds = options.timeout;
  request.must_be_clean = options.require_clean;
  return create_image(*open.host, open.caller, request);
}

Result<ImageRecord> create_of_snapshots(const Globals& globals, const Options& options) {
  Stop stop;
  const auto repo = TRY(open_store(globals));
  TerminalNotices notices(globals);
  const Caller caller = TRY(caller_of(globals, *repo, notices, stop.token()));
  TRY(stop.watch());
  return register_image(*repo, caller, TRY(request_of(options)));
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  const ImageRecord made = TRY(options.instance.empty() ? create_of_snapshots(globals, options)
                                                        : create_of_instance(globals, options));
  globals.json ? print_json({{"ImageId", made.id.text()}}) : print(made.id.text() + "\n");
  return ExitCode::kDone;
}

void add_attributes(Verb& verb, const std::shared_ptr<Options>& options) {
  verb.text("--root-device", "DEVICE", options->root_device, "The device to boot from [the first one]");
  verb.text(
      "--root-device-type", "TYPE", options->root_device_type,
      "ebs: there at once and hydrated lazily; instance-store: restored whole at launch and lost with the "
      "machine [ebs]");
  verb.text("--architecture", "NAME", options->architecture,
            "i386, x86_64, arm64, riscv64, ppc64le, s390x [x86_64]");
  verb.text("--boot-mode", "MODE", options->boot_mode, "legacy-bios, uefi, uefi-preferred [legacy-bios]");
  verb.text("--kernel", "SNAP", options->kernel,
            "Boot a kernel that was captured as a snapshot [the disk's]");
  verb.text("--ramdisk", "SNAP", options->ramdisk,
            "With --kernel: its initial RAM disk, captured as a snapshot");
  verb.text("--append", "TEXT", options->command_line, "With --kernel: its command line");
  verb.flag("--ena-support", options->ena_support, "Say that its system has drivers for ENA");
  verb.text("--sriov-net-support", "WORD", options->sriov, "simple: it has drivers for SR-IOV");
  verb.text("--tpm-support", "WORD", options->tpm, "v2.0: it wants a TPM");
  verb.text("--imds-support", "WORD", options->imds,
            "v2.0: it wants the second version of instance metadata");
  verb.text("--platform", "WORD", options->platform, "windows, or nothing");
}

}  // namespace

void add_image_create(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb(
      "image create", "Make a machine image of snapshots or of a machine, and print its id",
      "  ashlar image create --name web-1.4 --map /dev/sda=snap-01a2b3c4d5e6f7089\n"
      "  # a second disk, a blank one, and a larger first one\n"
      "  ashlar image create --name db-1.4 --root-device /dev/sda --map "
      "/dev/sda=snap-01a2b3c4d5e6f7089,size=20G "
      "--map /dev/sdb=snap-09f8e7d6c5b4a3021,delete-on-termination=false --map /dev/sdc=ephemeral0,size=8G\n"
      "  ashlar image create --name web-1.5 --from-instance i-01a2b3c4d5e6f7089 --no-reboot");
  verb.text("--name", "TEXT", options->name, "The image's name; an account has each name once");
  verb.text(
      "--from-instance", "INSTANCE", options->instance,
      "Capture all volumes of this instance at one instant; it is shut down for that and started again");
  verb.flag("--no-reboot", options->no_reboot,
            "With --from-instance: leave the machine running; the image is what a power cut would leave");
  verb.number("--timeout", 0, kMaxTimeout, options->timeout,
              "Seconds that the guest has to switch itself off [60]");
  verb.flag("--require-clean", options->require_clean,
            "Make no image, and fail, when 'image inspect' finds anything or can't look into a part");
  verb.text("--description", "TEXT", options->description, "A description");
  verb.texts("--map", "DEVICE=WHAT", options->maps,
             "A device: =SNAP, =ephemeralN or =no-device, then ,size=SIZE ,type=TYPE ,iops=N ,throughput=N "
             ",delete-on-termination=true|false; may be given more than once");
  add_attributes(verb, options);
  verb.texts("--tag", "KEY=VALUE", options->tags, "A tag; may be given more than once");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
