// ashlar image …: making, listing and describing machine images.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "action/create_image.h"
#include "base/units.h"
#include "image/access.h"
#include "image/filter.h"
#include "image/register.h"
#include "image_inspection.h"
#include "program/cli.h"
#include "program/host_option.h"
#include "program/image_store.h"
#include "program/output.h"
#include "program/stop.h"
#include "shapes/image_output.h"
#include "shapes/mapping_words.h"
#include "shapes/tag_words.h"

namespace ashlar {
namespace {

constexpr std::chrono::milliseconds kPoll{500};
constexpr unsigned kDefaultTimeout = 600;  // EC2's waiter: 40 times 15 seconds
constexpr unsigned kMaxTimeout = 24 * 3600;

struct CreateOptions {
  std::string instance;
  bool no_reboot = false;
  bool require_clean = false;
  unsigned timeout = 60;
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

Result<std::optional<ImageContent>> boot_file(const std::string& snapshot) {
  if (snapshot.empty()) return std::optional<ImageContent>();
  ImageContent content;
  content.snapshot = TRY(SnapshotId::parse(snapshot));
  return std::optional(content);
}

// Without --root-device it is the first of the devices.
Result<ImageRecord> image_of(const CreateOptions& options) {
  ImageRecord record;
  record.name = options.name;
  record.description = options.description;
  record.architecture = TRY(parse_architecture(options.architecture));
  record.root_device_type = TRY(parse_root_device_type(options.root_device_type));
  record.boot_mode = TRY(parse_boot_mode(options.boot_mode));
  record.ena_support = options.ena_support;
  record.sriov_net_support = options.sriov;
  record.tpm_support = options.tpm;
  record.imds_support = options.imds;
  record.platform = options.platform;
  record.boot.kernel = TRY(boot_file(options.kernel));
  record.boot.ramdisk = TRY(boot_file(options.ramdisk));
  record.boot.command_line = options.command_line;
  record.devices = TRY(devices_of(TRY(parse_mappings(options.maps))));
  record.root_device = options.root_device;
  if (record.root_device.empty() && !record.devices.empty()) record.root_device = record.devices.front().name;
  record.tags = TRY(parse_tags(options.tags));
  return record;
}

// What a machine is made of decides what its image is made of.
Status check_of_instance(const CreateOptions& options) {
  TRY(InstanceId::parse(options.instance));
  TRY(check_image_name(options.name));
  const CreateOptions plain;
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

// All that can be told without the store is a usage error.
Status check(const CreateOptions& options) {
  if (!options.instance.empty()) return check_of_instance(options);
  if (options.no_reboot) return invalid("--no-reboot is for --from-instance");
  ImageRecord record = TRY(image_of(options));
  record.id = ImageId{1};
  record.owner = AccountId{1};
  for (ImageDevice& device : record.devices) {
    if (device.kind == ImageDevice::Kind::kSnapshot && device.size.value == 0) device.size = ByteCount{1};
  }
  return check_limits(record);
}

Result<ImageRecord> create_of_instance(const Globals& globals, const CreateOptions& options) {
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
  if (options.require_clean) {
    request.check = [&stop](Repo& repo, const std::vector<ImageDevice>& devices) -> Status {
      return check_clean(TRY(inspect_devices(repo, devices, stop.token())));
    };
  }
  return create_image(*open.host, open.caller, request);
}

// Snapshots never change: what is clean before the image is made is clean in it.
Status require_clean(Repo& repo, const ImageRecord& wanted) {
  Stop stop;
  TRY(stop.watch());
  return check_clean(TRY(inspect_devices(repo, wanted.devices, stop.token())));
}

Result<ImageRecord> create_of_snapshots(const Globals& globals, const CreateOptions& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  ImageRecord wanted = TRY(image_of(options));
  if (options.require_clean) TRY(require_clean(store.repo(), wanted));
  wanted.store = store.repo().config().id;
  wanted.owner = store.account();
  return register_image(store.catalog(), store.repo().snapshots(), std::move(wanted));
}

Result<ExitCode> create(const Globals& globals, const CreateOptions& options) {
  const ImageRecord made = TRY(options.instance.empty() ? create_of_snapshots(globals, options)
                                                        : create_of_instance(globals, options));
  globals.json ? print_json({{"ImageId", made.id.text()}}) : print(made.id.text() + "\n");
  return ExitCode::kDone;
}

struct ListOptions {
  std::vector<std::string> ids;
  std::vector<std::string> owners;
  std::vector<std::string> executable_by;
  std::vector<std::string> filters;
  bool with_deprecated = false;
};

Status check_accounts(const std::vector<std::string>& words, std::string_view also) {
  for (const std::string& word : words) {
    if (word != "self" && word != also) TRY(AccountId::parse(word));
  }
  return {};
}

Status check(const ListOptions& options) {
  for (const std::string& text : options.ids) TRY(ImageId::parse(text));
  for (const std::string& text : options.filters) TRY(parse_image_filter(text).with_context("--filter"));
  TRY(check_accounts(options.owners, "self").with_context("--owner"));
  return check_accounts(options.executable_by, "all").with_context("--executable-by");
}

// "self" or an account's number.
bool is_account(const std::string& word, AccountId account, AccountId self) {
  return word == "self" ? account == self : account.text() == word;
}

bool is_executable(const ImageRecord& record, const std::string& word, AccountId self) {
  if (word == "all") return record.is_public;
  const AccountId account = word == "self" ? self : AccountId::parse(word).take();
  return record.shared_with.contains(account);
}

bool is_wanted(const ImageRecord& record, const ListOptions& options, const std::vector<ImageFilter>& filters,
               AccountId self) {
  const auto owns = [&](const std::string& word) { return is_account(word, record.owner, self); };
  const auto executes = [&](const std::string& word) { return is_executable(record, word, self); };
  if (!options.owners.empty() && std::ranges::none_of(options.owners, owns)) return false;
  if (!options.executable_by.empty() && std::ranges::none_of(options.executable_by, executes)) return false;
  return std::ranges::all_of(filters, [&](const ImageFilter& filter) { return passes(record, filter); });
}

struct Listing {
  std::vector<ImageRecord> images;
  std::vector<std::string> damaged;
};

// Images that are asked for by id are found or an error; a damaged record hides none of the others.
Result<Listing> find_images(ImageStore& store, const ListOptions& options) {
  Listing listing;
  std::vector<ImageFilter> filters;
  for (const std::string& text : options.filters) filters.push_back(TRY(parse_image_filter(text)));
  std::vector<ImageRecord> candidates;
  for (const std::string& text : options.ids)
    candidates.push_back(TRY(store.find(TRY(ImageId::parse(text)))));
  if (options.ids.empty()) {
    const UtcTime now = UtcTime::now();
    for (const ImageId id : TRY(store.catalog().list_ids())) {
      auto record = store.catalog().get(id);
      if (is(record, ErrorCode::kNotFound)) continue;
      if (!record.ok()) {
        listing.damaged.push_back(record.error().text());
      } else if (options.with_deprecated ? may_see(record.value(), store.account())
                                         : is_listed(record.value(), store.account(), now)) {
        candidates.push_back(record.take());
      }
    }
  }
  for (ImageRecord& record : candidates) {
    if (is_wanted(record, options, filters, store.account())) listing.images.push_back(std::move(record));
  }
  std::ranges::sort(listing.images, {}, [](const ImageRecord& r) { return std::pair(r.created, r.id); });
  return listing;
}

ExitCode finish(const Listing& listing) {
  for (const std::string& what : listing.damaged) print_warning(what);
  return listing.damaged.empty() ? ExitCode::kDone : ExitCode::kDamaged;
}

void print_images(const Listing& listing, AccountId account) {
  Json images = Json::array();
  for (const ImageRecord& record : listing.images) images.push_back(image_json(record, account));
  print_json({{"Images", images}});
}

ByteCount size_of(const ImageRecord& record) {
  ByteCount size{0};
  for (const ImageDevice& device : record.devices) size.value += device.content.size.value;
  return size;
}

Result<ExitCode> list(const Globals& globals, const ListOptions& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const Listing listing = TRY(find_images(store, options));
  if (globals.json) {
    print_images(listing, store.account());
    return finish(listing);
  }
  Table table({"ID", "STATE", "CREATED", "OWNER", ">SIZE", "NAME"});
  for (const ImageRecord& record : listing.images) {
    const bool old = is_deprecated(record, UtcTime::now());
    table.add({record.id.text(), std::string(image_state_name(record.state)) + (old ? ", deprecated" : ""),
               record.created.iso8601(), record.owner.text(), format_size(size_of(record).value),
               record.name});
  }
  print(table.text());
  return finish(listing);
}

Result<ExitCode> describe(const Globals& globals, const ListOptions& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const Listing listing = TRY(find_images(store, options));
  if (globals.json) {
    print_images(listing, store.account());
    return finish(listing);
  }
  std::string text;
  for (const ImageRecord& record : listing.images)
    text += (text.empty() ? "" : "\n") + image_text(record, store.account());
  print(text);
  return finish(listing);
}

struct WaitOptions {
  std::string state;
  std::string image;
  unsigned timeout = kDefaultTimeout;
};

Result<ExitCode> wait(const Globals& globals, const WaitOptions& options) {
  const ImageId id = TRY(ImageId::parse(options.image));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(options.timeout);
  for (;;) {
    // Opened anew each time: a maker that dies meanwhile leaves an image that is to be failed.
    const ImageRecord record = TRY(TRY(ImageStore::open(globals)).find(id));
    if (record.state == ImageState::kAvailable) return ExitCode::kDone;
    if (record.state != ImageState::kPending)
      return invalid(
          fmt::format("{} is {}: {}", id.text(), image_state_name(record.state), record.state_reason));
    if (std::chrono::steady_clock::now() >= deadline)
      return busy(fmt::format("{} is still pending after {} seconds", id.text(), options.timeout));
    std::this_thread::sleep_for(kPoll);
  }
}

void add_image_create(Cli& cli) {
  const auto options = std::make_shared<CreateOptions>();
  Verb verb = cli.add_verb(
      "image create", "Make a machine image of snapshots or of a machine, and print its id",
      "  ashlar image create --name web-1.4 --map /dev/sda=snap-01a2b3c4d5e6f7089\n"
      "  # a second disk, a blank one, and a larger first one\n"
      "  ashlar image create --name db-1.4 --root-device /dev/sda --map "
      "/dev/sda=snap-01a2b3c4d5e6f7089,size=20G "
      "--map /dev/sdb=snap-09f8e7d6c5b4a3021,delete-on-termination=false --map /dev/sdc=ephemeral0,size=8G\n"
      "  ashlar image create --name web-1.5 --from-instance i-01a2b3c4d5e6f7089 --no-reboot");
  verb.text("--name", "TEXT", options->name, "Its name, which no other image of the account has");
  verb.text("--from-instance", "INSTANCE", options->instance,
            "Of a machine: all of its volumes at one instant; it is shut down for that and started again");
  verb.flag("--no-reboot", options->no_reboot,
            "The machine goes on; the image is what a power cut would leave");
  verb.number("--timeout", 0, kMaxTimeout, options->timeout,
              "Seconds that the guest has to switch itself off [60]");
  verb.flag("--require-clean", options->require_clean,
            "Fail, and make no image, on whatever 'image inspect' finds or can't look into");
  verb.text("--description", "TEXT", options->description, "A description");
  verb.texts("--map", "DEVICE=WHAT", options->maps,
             "A device: =SNAP, =ephemeralN or =no-device, then ,size=SIZE ,type=TYPE ,iops=N ,throughput=N "
             ",delete-on-termination=true|false; may be given more than once");
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
  verb.texts("--tag", "KEY=VALUE", options->tags, "A tag; may be given more than once");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return create(globals, *options); });
}

void add_filters(Verb& verb, const std::shared_ptr<ListOptions>& options) {
  verb.texts("--owner", "self|ACCOUNT", options->owners,
             "Only images of this account; may be given more than once");
  verb.texts("--executable-by", "self|all|ACCOUNT", options->executable_by,
             "Only images that were shared with this account, or with all; may be given more than once");
  verb.texts(
      "--filter", "name=N,values=V[,V]", options->filters,
      "Only images of which an attribute has one of these values, * and ? stand for others; of several "
      "filters all must hold");
  verb.flag("--include-deprecated", options->with_deprecated, "Also deprecated images of other accounts");
  verb.check([options] { return check(*options); });
}

void add_image_list(Cli& cli) {
  const auto options = std::make_shared<ListOptions>();
  Verb verb = cli.add_verb("image list", "List the images that the account may launch, oldest first",
                           "  ashlar image list --owner self --filter name=state,values=available\n"
                           "  ashlar image list --filter 'name=name,values=web-*' --json");
  add_filters(verb, options);
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return list(globals, *options); });
}

void add_image_describe(Cli& cli) {
  const auto options = std::make_shared<ListOptions>();
  Verb verb = cli.add_verb("image describe", "Show what images are made of and what is allowed with them",
                           "  ashlar image describe ami-01a2b3c4d5e6f7089 --json");
  verb.positionals("IMAGE", "IMAGE", options->ids, "The images");
  add_filters(verb, options);
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return describe(globals, *options); });
}

void add_image_wait(Cli& cli) {
  const auto options = std::make_shared<WaitOptions>();
  Verb verb = cli.add_verb("image wait", "Wait until an image that is being made is available",
                           "  ashlar image wait available ami-01a2b3c4d5e6f7089 --timeout 3600");
  verb.positional_choice("STATE", {"available"}, options->state, "What to wait for");
  verb.image("IMAGE", options->image, "The image");
  verb.number("--timeout", 0, kMaxTimeout, options->timeout, "Seconds to wait at most [600]");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return wait(globals, *options); });
}

}  // namespace

void add_image(Cli& cli) {
  cli.add_group("image",
                "Make, list, share and retire machine images: snapshots with a block device mapping");
  add_image_create(cli);
  add_image_list(cli);
  add_image_describe(cli);
  add_image_wait(cli);
}

}  // namespace ashlar
