// Tests of images on their way between stores: who may send them, and which ones a store accepts.
#include "action/image_transfers.h"

#include "image_world.h"

namespace ashlar {
namespace {

class Transfers : public ImageWorld {
 protected:
  Status refuse_unsigned(UnsignedImages policy) {
    TRY(update_settings(there().objects(), [&](StoreSettings& settings) -> Status {
      settings.unsigned_images = policy;
      return {};
    }));
    return {};
  }
  Result<ImageCopyReport> copied(ImageId id, const NewCopy& copy = {}) {
    return copy_image(here(), owner_, there(), other_, id, copy);
  }
  const std::string file_ = directory_ / "web.ashlar";
};

TEST_F(Transfers, ACopyBelongsToTheAccountThere) {
  const ImageId id = made("web", true);
  ASSERT_OK(create_image_tags(here(), owner_, id, {{"a", "b"}}));
  ASSERT_OK(enable_image_deprecation(here(), owner_, id, UtcTime{1}));
  ASSERT_OK(share(id, Grantee()));
  const ImageRecord copy = copied(id).take().image;
  EXPECT_EQ(copy.owner, other_.account);
  EXPECT_EQ(copy.name, "web");
  EXPECT_EQ(copy.source_image, id);
  EXPECT_EQ(copy.state, ImageState::kAvailable);
  EXPECT_TRUE(copy.deprecated);
  EXPECT_TRUE(copy.tags.empty() && copy.shared_with.empty() && !copy.is_public);
  EXPECT_TRUE(verify_image(there(), other_, copy.id).take().is_whole());
  EXPECT_CODE(copied(id), ErrorCode::kBusy);
  const ImageRecord second = copied(id, {"web-2", true, false}).take().image;
  EXPECT_EQ(second.tags, (Tags{{"a", "b"}}));
  EXPECT_FALSE(second.deprecated);
}

TEST_F(Transfers, WithinAStoreNoDataIsSent) {
  const ImageId id = made("web", true);
  const auto again = here().open_again().take();
  const ImageCopyReport report =
      copy_image(here(), owner_, *again, owner_, id, {"web-2", false, true}).take();
  EXPECT_EQ(report.copy.segments_sent, 0U);
  EXPECT_EQ(listed(owner_), (Names{"web", "web-2"}));
}

TEST_F(Transfers, OnlyAnAvailableImageThatTheAccountSeesIsSent) {
  const ImageId id = made("web");
  std::string sent;
  const BundleOutput output{[&](ByteSpan bytes) -> Status {
    sent += as_text(bytes);
    return {};
  }};
  EXPECT_CODE(copy_image(here(), other_, there(), other_, id, {}), ErrorCode::kNotFound);
  EXPECT_CODE(export_image(here(), other_, {id, {}}, output), ErrorCode::kNotFound);
  ASSERT_OK(disable_image(here(), owner_, id));
  EXPECT_CODE(copied(id), ErrorCode::kInvalid);
  EXPECT_CODE(export_image(here(), owner_, {id, {}}, output), ErrorCode::kInvalid);
  EXPECT_TRUE(sent.empty());
}

TEST_F(Transfers, AnImageGoesThroughAFile) {
  const ImageId id = made("web", true);
  ASSERT_OK(export_image_file(here(), owner_, {id, {}}, file_));
  const ImageRecord copy = import_image_file(there(), other_, {}, file_).take().image;
  EXPECT_EQ(copy.owner, other_.account);
  EXPECT_TRUE(verify_image(there(), other_, copy.id).take().is_whole());
  const auto taken = export_image_file(here(), owner_, {id, {}}, file_);
  EXPECT_CODE(taken, ErrorCode::kInvalid);
  EXPECT_EQ(taken.error().kind(), ErrorKind::kTargetExists);
  EXPECT_CODE(import_image_file(there(), other_, {}, directory_.path()), ErrorCode::kInvalid);
  EXPECT_CODE(import_image_file(there(), other_, {}, directory_ / "absent"), ErrorCode::kNotFound);
  const std::string plain = directory_ / "plain";
  for (const char* content : {"", "ASHL", "a file that is longer than the header of a bundle has to be"}) {
    std::ofstream(plain) << content;
    const auto refused = import_image_file(there(), other_, {}, plain);
    EXPECT_CODE(refused, ErrorCode::kInvalid);
    EXPECT_EQ(refused.error().text(), plain + " is not an image bundle");
  }
}

TEST_F(Transfers, AnExportThatFailsLeavesNoFile) {
  EXPECT_CODE(export_image_file(here(), owner_, {ImageId{7}, {}}, file_), ErrorCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(file_));
  const ImageId id = made("web");
  const std::string inside = (directory_ / "here") + "/packs/web.ashlar";
  EXPECT_CODE(export_image_file(here(), owner_, {id, {}}, inside), ErrorCode::kInvalid);
  EXPECT_FALSE(std::filesystem::exists(inside));
  EXPECT_CODE(export_image_layout(here(), owner_, {ImageId{7}, {}}, {file_, ""}), ErrorCode::kNotFound);
  EXPECT_CODE(export_image_layout(here(), owner_, {id, {}}, {inside, ""}), ErrorCode::kInvalid);
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(Transfers, AnImageGoesThroughALayout) {
  const ImageId id = made("web", true);
  const LayoutPlace place{directory_ / "layout", "1.5"};
  EXPECT_GT(export_image_layout(here(), owner_, {id, {}}, place).take().parts, 0U);
  const ImageRecord copy = import_image_layout(there(), other_, {"web-2", false, true}, place).take().image;
  EXPECT_EQ(copy.name, "web-2");
  EXPECT_CODE(import_image_layout(there(), other_, {}, {place.directory, "1.6"}), ErrorCode::kNotFound);
}

TEST_F(Transfers, AnExportSinceAnotherImageNeedsThatImage) {
  const ImageId base = made("web", true);
  ASSERT_OK(export_image_file(here(), owner_, {made("web-2", true), base}, file_));
  EXPECT_CODE(export_image_file(here(), owner_, {base, ImageId{7}}, directory_ / "other"),
              ErrorCode::kNotFound);
}

TEST_F(Transfers, AStoreWarnsOfUnsignedImagesOrRefusesThem) {
  const ImageId id = made("web");
  ASSERT_OK(export_image_file(here(), owner_, {id, {}}, file_));
  ASSERT_OK(refuse_unsigned(UnsignedImages::kWarn));
  ASSERT_OK(copied(id));
  EXPECT_EQ(notices_.warnings.size(), 1U);
  ASSERT_OK(refuse_unsigned(UnsignedImages::kRefuse));
  const auto refused = copied(id, {"web-2", false, true});
  EXPECT_CODE(refused, ErrorCode::kInvalid);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kNotTrusted);
  EXPECT_CODE(import_image_file(there(), other_, {"web-2", false, true}, file_), ErrorCode::kInvalid);
  const SigningKey key = SigningKey::generate().take();
  ASSERT_OK(sign_image(here(), owner_, id, key));
  ASSERT_OK(update_settings(there().objects(), [&](StoreSettings& settings) -> Status {
    settings.trusted_keys[key.public_key()] = "release";
    return {};
  }));
  ASSERT_OK(copied(id, {"web-2", false, true}));
}

}  // namespace
}  // namespace ashlar
