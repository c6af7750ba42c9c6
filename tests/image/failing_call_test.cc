// Each verb that removes records, or takes something from others, with each of its calls failing with each
// error code: nothing is lost that another needs, and the verb is either done, or says that it is not and can
// be run again.
#include <array>

#include "catalog/launch_templates.h"
#include "catalog/lifecycle_policies.h"
#include "catalog/records.h"
#include "catalog/sessions.h"
#include "image/deletion.h"
#include "image/register.h"
#include "support/forwarding_objects.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

constexpr std::array kCodes = {ErrorCode::kIo,          ErrorCode::kCorrupt, ErrorCode::kExhausted,
                               ErrorCode::kUnsupported, ErrorCode::kBusy,    ErrorCode::kCancelled,
                               ErrorCode::kInvalid};

template <class T>
Status status_of(const Result<T>& result) {
  return result.ok() ? Status() : Status(result.error());
}

LaunchTemplate some_template(const std::string& name) {
  LaunchTemplate record;
  record.owner = AccountId{1};
  record.name = name;
  record.id = launch_template_id(record.owner, record.name);
  record.versions.emplace_back();
  return record;
}

LifecyclePolicy some_policy() {
  LifecyclePolicy policy;
  policy.owner = AccountId{1};
  policy.name = "weekly";
  policy.id = lifecycle_policy_id(policy.owner, policy.name);
  policy.filters = {"name=name,values=web-*"};
  policy.deprecate = Retention{3, 0};
  return policy;
}

ImageRecord some_image(const std::string& name, std::uint64_t snapshot) {
  ImageRecord record;
  record.owner = AccountId{1};
  record.name = name;
  record.root_device = "/dev/sda";
  record.devices.resize(1);
  record.devices[0].name = "/dev/sda";
  record.devices[0].content.snapshot = sample_record(snapshot).id;
  return record;
}

// A store with something for each verb.
struct VerbStore {
  VerbStore() {
    make_root(files);
    for (std::uint64_t number = 1; number <= 5; ++number)
      EXPECT_TRUE(publish_snapshot(objects, sample_record(number)).ok());
    kept = register_image(images, snapshots, some_image("kept", 1)).take().id;
    register_image(images, snapshots, some_image("half", 3)).take();
    retired = register_image(images, snapshots, some_image("retired", 1)).take().id;
    retire(objects, retired).take();
    other = register_image(images, snapshots, some_image("other", 1)).take().id;
    EXPECT_TRUE(snapshots.move_to_bin(id_of(2), UtcTime{1}).ok());
    EXPECT_TRUE(snapshots.move_to_bin(id_of(3), UtcTime{1}).ok()) << "a deletion that was cut off";
    VolumeRecord volume;
    volume.id = kVolume;
    volume.size = ByteCount{4096};
    volume.base = id_of(4);
    EXPECT_TRUE(VolumeCatalog(objects).publish(volume).ok());
    EXPECT_TRUE(LaunchTemplateCatalog(objects).claim(some_template("kept")).ok());
    EXPECT_TRUE(LaunchTemplateCatalog(objects).claim(some_template("freed")).ok());
    EXPECT_TRUE(LaunchTemplateCatalog(objects).free(some_template("freed").id).ok());
    EXPECT_TRUE(LifecyclePolicyCatalog(objects).claim(some_policy()).ok());
    session = Session::begin(objects, StoreId{}, {{id_of(9)}, {id_of(4), id_of(2)}}).take();
  }

  static SnapshotId id_of(std::uint64_t number) { return sample_record(number).id; }
  static Result<ImageRecord> retire(ObjectStore& objects, ImageId id) {
    return ImageCatalog(objects).update(id, [](ImageRecord& now) { return deregister(now, UtcTime{2}); });
  }
  bool is_published(std::uint64_t number) const { return snapshots.get(id_of(number)).ok(); }
  bool is_in_bin(std::uint64_t number) const { return snapshots.find_in_bin(id_of(number)).ok(); }
  void damage_session() {
    const std::string key = "sessions/" + session->id().hex();
    auto bytes = get_object(objects, key, 1 << 20);
    if (bytes.ok()) overwrite(objects, key, ByteSpan(bytes.value()).first(bytes.value().size() - 1));
  }
  // A swept one is removed by the next purge.
  bool is_open(std::uint64_t number) const {
    const auto object = snapshots.read(id_of(number));
    return object.ok() && std::holds_alternative<OpenSnapshot>(object.value());
  }
  bool has_name(const std::string& name) const {
    for (const ImageRecord& image : images.list().take()) {
      if (image.name == name && is_alive(image)) return images.check_name(image).ok();
    }
    return false;
  }
  bool has_template(const std::string& name) {
    return LaunchTemplateCatalog(objects).get(some_template(name).id).ok();
  }
  ImageState state_of(ImageId id) const {
    const auto image = images.get(id);
    return image.ok() ? image.value().state : ImageState::kPurged;
  }

  // Checks that all is there that only the named verb may change.
  void expect_kept(std::string_view verb) {
    EXPECT_TRUE(is_published(1));
    EXPECT_TRUE(is_published(4));
    EXPECT_TRUE(is_published(3) || is_in_bin(3)) << "an image needs it";
    EXPECT_TRUE(is_published(5) || is_in_bin(5));
    EXPECT_TRUE(is_published(5) || verb == "delete");
    EXPECT_TRUE(is_published(2) || is_in_bin(2) || verb == "purge");
    EXPECT_EQ(state_of(kept), ImageState::kAvailable);
    EXPECT_TRUE(has_name("kept"));
    EXPECT_TRUE(state_of(other) == ImageState::kAvailable || verb == "deregister");
    EXPECT_TRUE(state_of(retired) == ImageState::kDeregistered || verb == "purge" ||
                verb == "restore an image");
    EXPECT_TRUE(VolumeCatalog(objects).get(kVolume).ok() || verb == "delete a volume");
    EXPECT_TRUE(has_template("kept") || verb == "delete a template");
    EXPECT_TRUE(LifecyclePolicyCatalog(objects).get(some_policy().id).ok() || verb == "delete a policy");
    EXPECT_TRUE(find_session(objects, session->id()).ok() || verb.starts_with("revoke"));
    EXPECT_TRUE(snapshots.read(id_of(2)).ok() || verb.starts_with("revoke")) << "a session stands on it";
  }

  static constexpr VolumeId kVolume{7};
  SimulatedFileSystem files;
  LocalObjectStore objects{files, kRoot};
  SnapshotCatalog snapshots{objects};
  ImageCatalog images{objects};
  ImageId kept;
  ImageId retired;
  ImageId other;
  std::unique_ptr<Session> session;
};

struct NamedVerb {
  std::string name;
  std::function<Status(VerbStore&, ObjectStore&)> run;
  std::function<bool(VerbStore&)> is_done;
};

std::vector<NamedVerb> all_verbs() {
  return {
      {"delete",
       [](VerbStore&, ObjectStore& objects) { return delete_snapshot(objects, VerbStore::id_of(5)); },
       [](VerbStore& store) { return store.is_in_bin(5); }},
      {"purge",
       [](VerbStore&, ObjectStore& objects) {
         const auto purged = purge_bin(objects, UtcTime{10});
         if (purged.ok() && !purged.value().unread.empty()) return Status(purged.value().unread.front());
         return status_of(purged);
       },
       [](VerbStore& store) {
         return !store.is_published(2) && !store.is_in_bin(2) && store.is_published(3) &&
                store.state_of(store.retired) == ImageState::kPurged;
       }},
      {"restore",
       [](VerbStore&, ObjectStore& objects) {
         return status_of(restore_snapshot(objects, VerbStore::id_of(2)));
       },
       [](VerbStore& store) { return store.is_published(2); }},
      {"restore an image",
       [](VerbStore& store, ObjectStore& objects) {
         return status_of(restore_image(objects, store.retired));
       },
       [](VerbStore& store) {
         return store.state_of(store.retired) == ImageState::kAvailable && store.has_name("retired");
       }},
      {"deregister",
       [](VerbStore& store, ObjectStore& objects) {
         return status_of(VerbStore::retire(objects, store.other));
       },
       [](VerbStore& store) { return store.state_of(store.other) == ImageState::kDeregistered; }},
      {"register",
       [](VerbStore&, ObjectStore& objects) {
         ImageCatalog images(objects);
         return status_of(register_image(images, SnapshotCatalog(objects), some_image("new", 1)));
       },
       [](VerbStore& store) { return store.has_name("new"); }},
      {"delete a volume",
       [](VerbStore&, ObjectStore& objects) { return VolumeCatalog(objects).remove(VerbStore::kVolume); },
       [](VerbStore& store) {
         return is(VolumeCatalog(store.objects).get(VerbStore::kVolume), ErrorCode::kNotFound);
       }},
      {"delete a template",
       [](VerbStore&, ObjectStore& objects) {
         return LaunchTemplateCatalog(objects).free(some_template("kept").id);
       },
       [](VerbStore& store) { return !store.has_template("kept"); }},
      {"make a template again",
       [](VerbStore&, ObjectStore& objects) {
         return status_of(LaunchTemplateCatalog(objects).claim(some_template("freed")));
       },
       [](VerbStore& store) { return store.has_template("freed"); }},
      {"delete a policy",
       [](VerbStore&, ObjectStore& objects) {
         return LifecyclePolicyCatalog(objects).free(some_policy().id);
       },
       [](VerbStore& store) {
         return is(LifecyclePolicyCatalog(store.objects).get(some_policy().id), ErrorCode::kNotFound);
       }},
      {"revoke",
       [](VerbStore& store, ObjectStore& objects) {
         const auto session = find_session(objects, store.session->id());
         return session.ok() ? revoke(objects, session.value()) : status_of(session);
       },
       [](VerbStore& store) {
         const auto session = find_session(store.objects, store.session->id());
         return session.ok() && session.value().has_ended() && !store.is_open(9);
       }},
      {"revoke a damaged session",
       [](VerbStore& store, ObjectStore& objects) {
         store.damage_session();
         const auto kept = discard_session(objects, store.session->id());
         return kept.ok() ? Status() : Status(kept.error());
       },
       [](VerbStore& store) {
         return is(find_session(store.objects, store.session->id()), ErrorCode::kNotFound) &&
                !store.is_open(9);
       }},
  };
}

TEST(FailingCall, LosesNothingAndIsSaid) {
  for (const NamedVerb& verb : all_verbs()) {
    for (const ErrorCode code : kCodes) {
      bool failed = true;
      for (int at = 0; failed; ++at) {
        SCOPED_TRACE(verb.name + ", call " + std::to_string(at) + " fails with " +
                     std::string(error_code_name(code)));
        VerbStore store;
        FailingCall objects(store.objects, at, code);
        const Status done = verb.run(store, objects);
        failed = objects.failed();
        store.expect_kept(verb.name);
        // kBusy says that another process was faster, and so has done it; a damaged open record is left to a
        // purge.
        const bool says_done = done.ok() && code != ErrorCode::kBusy && code != ErrorCode::kCorrupt;
        EXPECT_TRUE(!says_done || verb.is_done(store)) << "it says that it is done";
        EXPECT_TRUE(failed || done.ok()) << done.error().text();
        best_effort(verb.run(store, store.objects));
        EXPECT_TRUE(purge_bin(store.objects, UtcTime{0}).ok()) << "of what dead writers left";
        EXPECT_TRUE(verb.is_done(store)) << "once more";
        store.expect_kept(verb.name);
        if (testing::Test::HasFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace ashlar
