// Shows how keys are made, read and trusted.
#include "action/keys.h"

#include <sys/stat.h>

#include <filesystem>

#include "action/action_world.h"
#include "base/id.h"

namespace ashlar {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

using Keys = ActionWorld;

TEST_F(Keys, AKeyFileIsForItsOwnerAloneAndNeverReplaced) {
  const std::string path = directory_ / "key.pem";
  const auto key = generate_key_file(path);
  ASSERT_OK(key);
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(read_key_file(path).take().public_key(), key.value());
  const std::string before = content_of(path);
  EXPECT_EQ(code_of(generate_key_file(path)), ErrorCode::kInvalid);
  EXPECT_EQ(content_of(path), before);
  EXPECT_EQ(code_of(generate_key_file(directory_ / "no/such/key")), ErrorCode::kNotFound);
}

// The folder, which is synced, is then the current directory.
TEST_F(Keys, AKeyFileMayBeABareName) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(std::filesystem::path(directory_ / "key.pem").parent_path());
  const auto key = generate_key_file("key.pem");
  std::filesystem::current_path(before);
  ASSERT_OK(key);
  EXPECT_EQ(read_key_file(directory_ / "key.pem").take().public_key(), key.value());
}

TEST_F(Keys, APublicKeyIsHexOrAFile) {
  const std::string path = directory_ / "key.pem";
  const PublicKey key = generate_key_file(path).take();
  EXPECT_EQ(parse_public_key(path).take(), key);
  EXPECT_EQ(parse_public_key(to_hex(key)).take(), key);
  EXPECT_EQ(code_of(parse_public_key("abc")), ErrorCode::kInvalid);
  EXPECT_EQ(code_of(parse_public_key(file_of("other", "not a key"))), ErrorCode::kInvalid);
}

TEST_F(Keys, TrustIsGivenNamedAndTaken) {
  const PublicKey key = generate_key_file(directory_ / "key.pem").take();
  EXPECT_THAT(describe_trusted_keys(repo(), owner()).take(), IsEmpty());
  ASSERT_OK(trust_key(repo(), owner(), key, "release"));
  ASSERT_OK(trust_key(repo(), owner(), key, "renamed"));
  EXPECT_THAT(describe_trusted_keys(repo(), other()).take(), ElementsAre(Pair(key, "renamed")));
  ASSERT_OK(distrust_key(repo(), owner(), key));
  const Status again = distrust_key(repo(), owner(), key);
  EXPECT_EQ(kind_of(again), ErrorKind::kNoSuchKey);
  EXPECT_EQ(again.error().id(), to_hex(key));
}

}  // namespace
}  // namespace ashlar
