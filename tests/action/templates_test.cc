// Shows which launch templates an account makes, finds, changes and deletes.
#include "action/templates.h"

#include "action/action_world.h"
#include "action/stores.h"

namespace ashlar {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Templates : public ActionWorld {
 protected:
  static LaunchChoices choices(std::uint32_t cpus) {
    LaunchChoices choices;
    choices.source = "ami-01a2b3c4d5e6f7089";
    choices.cpus = cpus;
    return choices;
  }
  void make_web() {
    ASSERT_OK(create_launch_template(repo(), owner(), {"web", "the first", choices(2)}));
    ASSERT_OK(create_launch_template_version(repo(), owner(), {"web", "", "the second", choices(4)}));
  }
  LaunchTemplate web() { return find_launch_template(repo(), owner(), "web").take(); }
};

TEST_F(Templates, VersionsAreNumberedAndTheFirstIsTheDefault) {
  make_web();
  EXPECT_THAT(web().versions, SizeIs(2));
  EXPECT_EQ(web().default_version, 1U);
  EXPECT_EQ(template_version(web(), "$Latest").take().choices, choices(4));
  EXPECT_EQ(template_version(web(), "$Default").take().description, "the first");
  EXPECT_EQ(template_version(web(), "2").take().number, 2U);
  EXPECT_EQ(code_of(template_version(web(), "3")), ErrorCode::kNotFound);
  for (const char* word : {"", "0", "-1", "latest", "1x"})
    EXPECT_EQ(code_of(template_version(web(), word)), ErrorCode::kInvalid) << word;
}

TEST_F(Templates, AVersionTakesWhatItDoesNotStateFromAnother) {
  make_web();
  LaunchChoices memory;
  memory.memory = ByteCount{1 << 30};
  const auto made = create_launch_template_version(repo(), owner(), {"web", "$Latest", "", memory});
  ASSERT_OK(made);
  EXPECT_EQ(made.value().versions.back().choices, merged(choices(4), memory));
  EXPECT_EQ(code_of(create_launch_template_version(repo(), owner(), {"web", "9", "", memory})),
            ErrorCode::kNotFound);
}

TEST_F(Templates, ANameIsTakenOncePerAccount) {
  make_web();
  const auto again = create_launch_template(repo(), owner(), {"web", "", choices(1)});
  EXPECT_EQ(code_of(again), ErrorCode::kBusy);
  EXPECT_EQ(kind_of(again), ErrorKind::kTemplateExists);
  EXPECT_EQ(again.error().id(), "web");
  ASSERT_OK(create_launch_template(repo(), other(), {"web", "", choices(1)}));
  EXPECT_THAT(web().versions, SizeIs(2));
}

TEST_F(Templates, OtherAccountsFindAndChangeNothing) {
  make_web();
  EXPECT_EQ(kind_of(find_launch_template(repo(), other(), "web")), ErrorKind::kNoSuchTemplate);
  EXPECT_EQ(code_of(modify_launch_template(repo(), other(), "web", "2")), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(create_launch_template_version(repo(), other(), {"web", "", "", choices(1)})),
            ErrorCode::kNotFound);
  EXPECT_EQ(code_of(delete_launch_template_versions(repo(), other(), "web", {"2"})), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(delete_launch_template(repo(), other(), "web")), ErrorCode::kNotFound);
  EXPECT_THAT(describe_launch_templates(repo(), other()).take().found, IsEmpty());
  EXPECT_THAT(web().versions, SizeIs(2));
}

TEST_F(Templates, BadRequestsAreRefused) {
  for (const char* name : {"", "no", "a name", "web:1"}) {
    EXPECT_EQ(code_of(create_launch_template(repo(), owner(), {name, "", choices(1)})), ErrorCode::kInvalid);
    EXPECT_EQ(code_of(find_launch_template(repo(), owner(), name)), ErrorCode::kInvalid);
    EXPECT_EQ(code_of(delete_launch_template(repo(), owner(), name)), ErrorCode::kInvalid);
  }
  LaunchChoices bad = choices(1);
  bad.mappings = {"/dev/sdb=whatever"};
  EXPECT_EQ(code_of(create_launch_template(repo(), owner(), {"web", "", bad})), ErrorCode::kInvalid);
  bad = choices(1);
  bad.source = "vol-01a2b3c4d5e6f7089";
  EXPECT_EQ(code_of(create_launch_template(repo(), owner(), {"web", "", bad})), ErrorCode::kInvalid);
  EXPECT_THAT(describe_launch_templates(repo(), owner()).take().found, IsEmpty());
}

TEST_F(Templates, TheDefaultVersionIsNotDeleted) {
  make_web();
  const auto refused = delete_launch_template_versions(repo(), owner(), "web", {"2", "$Default"});
  EXPECT_EQ(code_of(refused), ErrorCode::kInvalid);
  EXPECT_THAT(web().versions, SizeIs(2)) << "none of them is deleted";
  ASSERT_OK(modify_launch_template(repo(), owner(), "web", "$Latest"));
  ASSERT_OK(delete_launch_template_versions(repo(), owner(), "web", {"1"}));
  EXPECT_EQ(create_launch_template_version(repo(), owner(), {"web", "", "", choices(1)})
                .take()
                .versions.back()
                .number,
            3U)
      << "numbers are not given again";
}

// Its key is never deleted: a deletion that takes effect late would remove the new one.
TEST_F(Templates, ANameThatWasFreedIsTakenAgainWithALaterRevision) {
  make_web();
  EXPECT_EQ(web().revision, 2U);
  const std::string key = LaunchTemplateCatalog::key_of(web().id);
  ASSERT_OK(delete_launch_template(repo(), owner(), "web"));
  const auto free = decode_free_record(get_object(repo().objects(), key, 4096).take());
  ASSERT_OK(free);
  EXPECT_EQ(free.value().revision, 3U);
  EXPECT_EQ(code_of(find_launch_template(repo(), owner(), "web")), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(delete_launch_template(repo(), owner(), "web")), ErrorCode::kNotFound);
  const auto listing = describe_launch_templates(repo(), owner()).take();
  EXPECT_THAT(listing.found, IsEmpty());
  EXPECT_THAT(listing.unread, IsEmpty());
  const auto again = create_launch_template(repo(), owner(), {"web", "", choices(1)});
  ASSERT_OK(again);
  EXPECT_EQ(again.value().revision, 4U);
  EXPECT_EQ(web(), again.value());
}

TEST_F(Templates, ADamagedRecordIsNamedHidesNoneAndIsGivenUp) {
  make_web();
  ASSERT_OK(create_launch_template(repo(), owner(), {"app", "", choices(1)}));
  std::ofstream(store_path() + "/launch-templates/" + web().id.text()) << "{}";
  EXPECT_EQ(code_of(find_launch_template(repo(), owner(), "web")), ErrorCode::kCorrupt);
  const auto listing = describe_launch_templates(repo(), owner()).take();
  EXPECT_THAT(listing.found, SizeIs(1));
  ASSERT_THAT(listing.unread, SizeIs(1));
  EXPECT_THAT(listing.unread[0].text(), HasSubstr("launch-templates/lt-0"));
  const auto refused = delete_launch_template(repo(), owner(), "web");
  EXPECT_EQ(code_of(refused), ErrorCode::kCorrupt) << "its bytes would be lost";
  EXPECT_EQ(kind_of(refused), ErrorKind::kRecordDamaged);
  EXPECT_EQ(kind_of(create_launch_template(repo(), owner(), {"web", "", choices(1)})),
            ErrorKind::kRecordDamaged);
  const auto discarded = discard_damaged_record(repo(), owner(), refused.error().id());
  ASSERT_OK(discarded);
  EXPECT_EQ(as_text(get_object(repo().objects(), discarded.value().kept, 64).take()), "{}");
  const auto again = delete_launch_template(repo(), owner(), "web");
  EXPECT_EQ(code_of(again), ErrorCode::kNotFound);
  EXPECT_EQ(text_of(again), "no launch template 'web' in this store");
  ASSERT_OK(create_launch_template(repo(), owner(), {"web", "", choices(1)}));
}

}  // namespace
}  // namespace ashlar
