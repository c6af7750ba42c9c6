// Shows which lifecycle policies an account keeps, and what a run of them does.
#include "action/policies.h"

#include "action/action_world.h"
#include "action/disks.h"
#include "action/stores.h"

namespace ashlar {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Policies : public ActionWorld {
 protected:
  static LifecyclePolicy policy(const std::string& name) {
    LifecyclePolicy policy;
    policy.name = name;
    policy.filters = {"name=name,values=web-*"};
    policy.deregister = Retention{1, 0};
    return policy;
  }
  void make_images() {
    for (const char* name : {"web-1", "web-2", "other"}) {
      CaptureImage request;
      request.name = name;
      request.disks = {{"/dev/sda", file(name, 4096)}};
      ASSERT_OK(capture_image(repo(), owner(), request));
    }
  }
};

TEST_F(Policies, APolicyIsReplacedByItsName) {
  const auto first = put_lifecycle_policy(repo(), owner(), policy("web"));
  ASSERT_OK(first);
  LifecyclePolicy changed = policy("web");
  changed.deregister = Retention{5, 0};
  const auto second = put_lifecycle_policy(repo(), owner(), changed);
  ASSERT_OK(second);
  EXPECT_EQ(second.value().id, first.value().id);
  EXPECT_EQ(second.value().created, first.value().created);
  EXPECT_EQ(find_lifecycle_policy(repo(), owner(), "web").take().deregister->keep_last, 5U);
  EXPECT_THAT(describe_lifecycle_policies(repo(), owner()).take().found, SizeIs(1));
}

TEST_F(Policies, OtherAccountsHaveTheirOwn) {
  ASSERT_OK(put_lifecycle_policy(repo(), owner(), policy("web")));
  EXPECT_EQ(kind_of(find_lifecycle_policy(repo(), other(), "web")), ErrorKind::kNoSuchPolicy);
  EXPECT_EQ(kind_of(delete_lifecycle_policy(repo(), other(), "web")), ErrorKind::kNoSuchPolicy);
  EXPECT_THAT(describe_lifecycle_policies(repo(), other()).take().found, IsEmpty());
  EXPECT_EQ(code_of(plan_lifecycle_run(repo(), other(), {{"web"}, false})), ErrorCode::kNotFound);
  ASSERT_OK(delete_lifecycle_policy(repo(), owner(), "web"));
  EXPECT_EQ(text_of(find_lifecycle_policy(repo(), owner(), "web")),
            "no lifecycle policy 'web' in this store");
}

TEST_F(Policies, BadRequestsAreRefused) {
  LifecyclePolicy bad = policy("web");
  bad.filters = {"name=nonsense,values=x"};
  EXPECT_EQ(code_of(put_lifecycle_policy(repo(), owner(), bad)), ErrorCode::kInvalid);
  EXPECT_EQ(code_of(put_lifecycle_policy(repo(), owner(), policy("a name"))), ErrorCode::kInvalid);
  EXPECT_EQ(code_of(plan_lifecycle_run(repo(), owner(), {{"web"}, true})), ErrorCode::kInvalid);
}

TEST_F(Policies, ARunDoesWhatThePlanSays) {
  make_images();
  ASSERT_OK(put_lifecycle_policy(repo(), owner(), policy("web")));
  const LifecycleRun run = plan_lifecycle_run(repo(), owner(), {}).take();
  ASSERT_THAT(run.plan.actions, SizeIs(1));
  EXPECT_EQ(run.plan.actions.front().image_name, "web-1");
  std::vector<bool> done;
  ASSERT_OK(execute_lifecycle_run(repo(), owner(), run, [&](const LifecycleAction&, const Status& status) {
    done.push_back(status.ok());
  }));
  EXPECT_THAT(done, ElementsAre(true));
  EXPECT_THAT(plan_lifecycle_run(repo(), owner(), {}).take().plan.actions, IsEmpty());
}

TEST_F(Policies, ADamagedOneIsNamedAndGivenUp) {
  const auto made = put_lifecycle_policy(repo(), owner(), policy("web"));
  ASSERT_OK(put_lifecycle_policy(repo(), owner(), policy("app")));
  std::ofstream(store_path() + "/lifecycle-policies/" + made.value().id.text()) << "{}";
  EXPECT_THAT(describe_lifecycle_policies(repo(), owner()).take().found, SizeIs(1));
  const auto run = plan_lifecycle_run(repo(), owner(), {}).take();
  ASSERT_THAT(run.unread, SizeIs(1));
  EXPECT_THAT(run.unread[0].text(), HasSubstr(made.value().id.text()));
  EXPECT_EQ(kind_of(delete_lifecycle_policy(repo(), owner(), "web")), ErrorKind::kRecordDamaged);
  EXPECT_EQ(kind_of(put_lifecycle_policy(repo(), owner(), policy("web"))), ErrorKind::kRecordDamaged);
  ASSERT_OK(discard_damaged_record(repo(), owner(), made.value().id.text()));
  EXPECT_THAT(plan_lifecycle_run(repo(), owner(), {{}, true}).take().unread, IsEmpty());
  ASSERT_OK(put_lifecycle_policy(repo(), owner(), policy("web")));
}

}  // namespace
}  // namespace ashlar
