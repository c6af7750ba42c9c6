// Tests of attachments: notes are read as they were written, damaged ones are refused, and a held volume is
// held by one process.
#include "host/attachments.h"

#include <gtest/gtest.h>

#include <fstream>

#include "process/process_identity.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

const VolumeId kVolume{7};

Attachment sample() {
  Attachment attachment;
  attachment.method = AttachMethod::kKernelNbd;
  attachment.device = "/dev/nbd3";
  attachment.process = {{std::byte{1}, std::byte{2}}, 4711, 123456};
  return attachment;
}

TEST(AttachmentNote, IsReadAsItWasWritten) {
  for (const AttachMethod method : {AttachMethod::kKernelNbd, AttachMethod::kFuseLoop}) {
    Attachment attachment = sample();
    attachment.method = method;
    EXPECT_EQ(decode_attachment(encode_attachment(kVolume, attachment), kVolume).take(), attachment);
  }
}

TEST(AttachmentNote, DamageAndOtherVolumesAreRefused) {
  const std::string text = encode_attachment(kVolume, sample());
  EXPECT_TRUE(is(decode_attachment(text, VolumeId{8}), ErrorCode::kCorrupt));
  for (std::size_t size = 0; size + 2 < text.size(); ++size)
    EXPECT_TRUE(is(decode_attachment(text.substr(0, size), kVolume), ErrorCode::kCorrupt)) << size;
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    const std::size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return decode_attachment(changed.replace(at, from.size(), to), kVolume);
  };
  EXPECT_TRUE(is(with("nbd-client", "magic"), ErrorCode::kCorrupt));
  EXPECT_TRUE(is(with("/dev/nbd3", "/etc/nbd3"), ErrorCode::kCorrupt));
  EXPECT_TRUE(is(with("4711", "99999999999"), ErrorCode::kCorrupt));
  EXPECT_TRUE(is(with("4711", "-1"), ErrorCode::kCorrupt));
  EXPECT_TRUE(is(with("\"pid\"", "\"pidd\""), ErrorCode::kCorrupt));
  for (const std::string& hostile :
       {std::string("[]"), std::string(4000, '['), std::string("{\"volume\":[[[1]]]}")})
    EXPECT_TRUE(is(decode_attachment(hostile, kVolume), ErrorCode::kCorrupt));
}

struct Rig {
  Rig() {
    const std::string store = scratch / "store";
    std::filesystem::create_directory(store);
    directory.emplace(HostDirectory::find(posix_file_system(), StoreAddress{store}, StoreId{{std::byte{1}}},
                                          {{}, HostId{{std::byte{2}}}, true})
                          .take());
  }
  std::string note() const { return directory->attachments() + "/" + kVolume.text() + "/attachment.json"; }
  TemporaryDirectory scratch;
  std::optional<HostDirectory> directory;
};

TEST(Attachments, AVolumeIsHeldByOneProcessAtATime) {
  Rig rig;
  Attachments attachments(*rig.directory);
  {
    const HeldVolume held = attachments.hold_unattached(kVolume).take();
    EXPECT_TRUE(is(attachments.hold(kVolume), ErrorCode::kBusy));
    EXPECT_TRUE(is(attachments.hold_unattached(kVolume), ErrorCode::kBusy));
    EXPECT_TRUE(attachments.hold(VolumeId{8}).ok());
  }
  HeldVolume held = attachments.hold(kVolume).take();
  EXPECT_FALSE(held.attached().take());
  EXPECT_FALSE(held.release().take());
}

TEST(Attachments, ANoteOfADeadProcessIsClearedAway) {
  Rig rig;
  Attachments attachments(*rig.directory);
  rig.directory->make_folder(rig.directory->attachments()).take();
  std::filesystem::create_directory(std::filesystem::path(rig.note()).parent_path());
  Attachment attachment = sample();  // of another boot
  std::ofstream(rig.note()) << encode_attachment(kVolume, attachment);
  EXPECT_TRUE(attachments.hold_unattached(kVolume).ok());
  EXPECT_FALSE(std::filesystem::exists(rig.note()));
}

TEST(Attachments, ADamagedNoteIsNamed) {
  Rig rig;
  Attachments attachments(*rig.directory);
  rig.directory->make_folder(rig.directory->attachments()).take();
  std::filesystem::create_directory(std::filesystem::path(rig.note()).parent_path());
  std::ofstream(rig.note()) << "{}";
  const auto held = attachments.hold_unattached(kVolume);
  ASSERT_FALSE(held.ok());
  EXPECT_EQ(held.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(held.error().text().find(std::filesystem::path(rig.note()).lexically_normal().native()),
            std::string::npos);
}

}  // namespace
}  // namespace ashlar
