// The record of a machine image. Page: docs/format/image.md.
//
// The record lives as `images/<image id>` and is replaced as a whole; `revision` counts the replacements. The
// parts that decide how a machine boots (the devices and their use, the attributes, the boot files) never
// change once the image is available. As in EC2, description, state, deprecation, tags, permissions and
// signatures may change. The names are EC2's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/quantity.h"
#include "base/result.h"
#include "codec/hash.h"
#include "codec/signature.h"
#include "document/device_name.h"
#include "format/bundle_format.h"
#include "format/tags.h"

namespace ashlar {

inline constexpr std::uint32_t kImageVersion = 1;
inline constexpr std::size_t kMaxImageRecordBytes = kMaxBundleImageBytes;
inline constexpr std::size_t kMaxImageDevices = 64;
inline constexpr std::size_t kMaxLaunchPermissions = 1000;
inline constexpr std::size_t kMaxImageSignatures = 16;
inline constexpr std::size_t kMaxImageDescriptionBytes = 255;
inline constexpr std::size_t kMaxBootCommandBytes = 4096;
inline constexpr ByteCount kDefaultEphemeralSize{std::uint64_t{8} << 30U};

enum class ImageState : unsigned char {
  kPending,  // its snapshots are being made
  kAvailable,
  kFailed,  // its maker ended before it was complete
  kDisabled,
  kDeregistered,  // in the recycle bin
  kPurged,        // out of the recycle bin, and about to be removed
};
enum class Architecture : unsigned char { kI386, kX8664, kArm64, kRiscv64, kPpc64le, kS390x };
enum class RootDeviceType : unsigned char {
  kEbs,            // the volume exists at once and hydrates lazily
  kInstanceStore,  // restored whole at launch, and lost with the machine
};
enum class VirtualizationType : unsigned char { kHvm, kParavirtual };
enum class BootMode : unsigned char { kLegacyBios, kUefi, kUefiPreferred };
enum class VolumeType : unsigned char { kGp3, kGp2, kIo1, kIo2, kSt1, kSc1, kStandard };

// The consistency of all devices of an image together.
enum class ImageConsistency : unsigned char {
  kSeparate,         // snapshots that were made at different instants
  kStopped,          // a machine that was switched off, or sources without writers
  kPaused,           // a machine that was paused at one instant
  kFrozen,           // every file system was frozen at the same time
  kCrashConsistent,  // a single instant of a machine that went on, as after a power cut
  kLive,             // at least one source was read while it was written to
};

std::string_view image_state_name(ImageState state);
std::string_view architecture_name(Architecture architecture);
std::string_view root_device_type_name(RootDeviceType type);
std::string_view virtualization_type_name(VirtualizationType type);
std::string_view boot_mode_name(BootMode mode);
std::string_view volume_type_name(VolumeType type);
std::string_view image_consistency_name(ImageConsistency consistency);
// The parsers return kInvalid for an unknown word; the message lists the known ones.
Result<Architecture> parse_architecture(std::string_view text);
Result<RootDeviceType> parse_root_device_type(std::string_view text);
Result<BootMode> parse_boot_mode(std::string_view text);
Result<VolumeType> parse_volume_type(std::string_view text);

// A snapshot, and what it held when the image was made.
struct ImageContent {
  SnapshotId snapshot;
  ContentDigest digest;
  ByteCount size;  // size of the snapshot
  friend bool operator==(const ImageContent&, const ImageContent&) = default;
};

// A device of the block device mapping.
struct ImageDevice {
  enum class Kind : unsigned char {
    kSnapshot,   // a volume of a snapshot
    kEphemeral,  // blank at launch, and lost with the machine
    kNone,       // EC2's NoDevice: the name stays free
  };
  std::string name;  // "/dev/sda"
  Kind kind = Kind::kSnapshot;
  ImageContent content;                       // kSnapshot
  ByteCount size;                             // size of the volume: at least the snapshot's; 0 for kNone
  VolumeType volume_type = VolumeType::kGp3;  // kSnapshot; kept for information only, like the two below
  std::uint32_t iops = 0;                     // 0: unstated
  std::uint32_t throughput = 0;               // MiB/s; 0: unstated
  bool delete_on_termination = true;          // kSnapshot
  std::uint32_t ephemeral = 0;                // kEphemeral: N of ephemeralN, at most 23
  friend bool operator==(const ImageDevice&, const ImageDevice&) = default;
};
std::string_view image_device_kind_name(ImageDevice::Kind kind);

// The image's own kernel for direct boot: files that were captured as snapshots.
struct ImageBoot {
  std::optional<ImageContent> kernel;
  std::optional<ImageContent> ramdisk;  // only with a kernel, like the command line
  std::string command_line;
  friend bool operator==(const ImageBoot&, const ImageBoot&) = default;
};

struct ImageSignature {
  PublicKey key{};
  std::string name;  // the image's name when it was signed
  UtcTime signed_at;
  Signature signature{};  // the signature over signed_statement()
  friend bool operator==(const ImageSignature&, const ImageSignature&) = default;
};

struct ImageRecord {
  ImageId id;
  std::uint64_t revision = 1;
  StoreId store;
  std::string name;  // 3 to 128 of the characters that EC2 allows; unique for an owner within a store
  std::string description;
  AccountId owner;
  UtcTime created;

  Architecture architecture = Architecture::kX8664;
  std::string root_device;  // name of a kSnapshot device
  RootDeviceType root_device_type = RootDeviceType::kEbs;
  std::vector<ImageDevice> devices;  // ascending by name
  VirtualizationType virtualization = VirtualizationType::kHvm;
  BootMode boot_mode = BootMode::kLegacyBios;
  bool ena_support = false;
  std::string sriov_net_support;  // empty or "simple"
  std::string tpm_support;        // empty or "v2.0"
  std::string imds_support;       // empty or "v2.0"
  std::string platform;           // empty or "windows"
  ImageBoot boot;
  ImageConsistency consistency = ImageConsistency::kSeparate;

  ImageId source_image;  // the image that this one is a copy of; value 0: none
  StoreId source_store;
  InstanceId source_instance;

  ImageState state = ImageState::kAvailable;
  std::string state_reason;                          // a single line; may be empty
  SessionId session;                                 // kPending: the session that makes the image
  std::optional<UtcTime> deprecated;                 // deprecated from this time on
  std::optional<UtcTime> deregistered;               // kDeregistered: the time of deregistration
  ImageState former_state = ImageState::kAvailable;  // kDeregistered: the state before
  bool is_public = false;
  std::set<AccountId> shared_with;
  std::vector<ImageSignature> signatures;
  Tags tags;

  friend bool operator==(const ImageRecord&, const ImageRecord&) = default;
};

Status check_image_name(std::string_view name);
// Returns kInvalid when a limit is broken; the message names it.
Status check_limits(const ImageRecord& record);
std::string encode(const ImageRecord& record);
// Returns kUnsupported for a newer version and for an encrypted image. Refuses members that version 1 does
// not have.
Result<ImageRecord> decode_image_record(std::string_view text);

// Returns the snapshots of an image, each once, ascending.
std::vector<SnapshotId> snapshots_of(const ImageRecord& record);

// Returns a digest of what an image holds, independent of its name: SHA-256 over the contents of its devices
// and boot files and the names of the devices. It is equal in every store that has a copy.
Sha256 image_digest(const ImageRecord& record);
// Returns the bytes that a signature is made over: everything that decides what a machine boots, and the name
// and time of the signing. Ids and owner are not among them, so a copy keeps its signatures.
ByteVector signed_statement(const ImageRecord& record, const ImageSignature& signature);

}  // namespace ashlar
