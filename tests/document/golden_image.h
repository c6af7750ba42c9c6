// The golden image record, in which every member has a value.
#pragma once

#include "document/image_record.h"

namespace ashlar::golden {

inline ImageContent content_of(std::uint64_t number, std::uint64_t size) {
  ImageContent content;
  content.snapshot = SnapshotId{number};
  content.digest.bytes.fill(static_cast<std::byte>(number));
  content.size = ByteCount{size};
  return content;
}

inline ImageRecord image() {
  ImageRecord record;
  record.id = ImageId{0x1122334455667788};
  record.revision = 3;
  record.store.bytes.fill(std::byte{0x11});
  record.name = "web-1.4 (x86_64) [a/b]_c'd@e";
  record.description = "caf\xc3\xa9";
  record.owner = AccountId{123456789012};
  record.created.unix_ns = 1795228800123456789;
  record.architecture = Architecture::kArm64;
  record.root_device = "/dev/sda";
  record.root_device_type = RootDeviceType::kInstanceStore;
  ImageDevice root;
  root.name = "/dev/sda";
  root.content = content_of(7, 5000);
  root.size = ByteCount{std::uint64_t{20} << 30U};
  root.volume_type = VolumeType::kIo2;
  root.iops = 4000;
  root.throughput = 250;
  root.delete_on_termination = false;
  ImageDevice blank;
  blank.name = "/dev/sdb";
  blank.kind = ImageDevice::Kind::kEphemeral;
  blank.size = kDefaultEphemeralSize;
  blank.ephemeral = 1;
  ImageDevice none;
  none.name = "/dev/sdc";
  none.kind = ImageDevice::Kind::kNone;
  record.devices = {root, blank, none};
  record.virtualization = VirtualizationType::kParavirtual;
  record.boot_mode = BootMode::kUefiPreferred;
  record.ena_support = true;
  record.sriov_net_support = "simple";
  record.tpm_support = "v2.0";
  record.imds_support = "v2.0";
  record.platform = "windows";
  record.boot = {content_of(8, 9000), content_of(9, 0), "root=/dev/vda console=ttyS0"};
  record.consistency = ImageConsistency::kCrashConsistent;
  record.source_image = ImageId{0x99};
  record.source_store.bytes.fill(std::byte{0x22});
  record.source_instance = InstanceId{0x77};
  record.state = ImageState::kDeregistered;
  record.former_state = ImageState::kDisabled;
  record.state_reason = "no longer needed";
  record.deprecated = UtcTime{1795228900000000000};
  record.deregistered = UtcTime{1795229000000000000};
  record.is_public = true;
  record.shared_with = {AccountId{1}, AccountId{999999999999}};
  ImageSignature signature;
  signature.key.fill(std::byte{0x33});
  signature.name = "web-1.4";
  signature.signed_at.unix_ns = 1795228850000000000;
  signature.signature.fill(std::byte{0x44});
  record.signatures = {signature};
  record.tags = {{"stage", "production"}, {"team", "caf\xc3\xa9"}};
  return record;
}

}  // namespace ashlar::golden
