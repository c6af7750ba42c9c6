// ActionWorld: a store in a temporary directory, and accounts that act on it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "action/caller.h"
#include "base/random.h"
#include "repo/repo.h"
#include "support/temporary_directory.h"

namespace ashlar {

#define ASSERT_OK(result)                                                         \
  do {                                                                            \
    const auto& checked_ = (result);                                              \
    ASSERT_TRUE(checked_.ok()) << (checked_.ok() ? "" : checked_.error().text()); \
  } while (false)

template <class T>
ErrorCode code_of(const Result<T>& result) {
  EXPECT_FALSE(result.ok());
  return result.ok() ? ErrorCode::kIo : result.error().code();
}
template <class T>
ErrorKind kind_of(const Result<T>& result) {
  EXPECT_FALSE(result.ok());
  return result.ok() ? ErrorKind::kNone : result.error().kind();
}
template <class T>
std::string text_of(const Result<T>& result) {
  EXPECT_FALSE(result.ok());
  return result.ok() ? "" : result.error().text();
}

class ActionWorld : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{store_path()}, {}));
    auto opened = Repo::open(posix_file_system(), StoreAddress{store_path()}, {});
    ASSERT_OK(opened);
    repo_ = opened.take();
  }

  std::string store_path() const { return directory_ / "store"; }
  Repo& repo() { return *repo_; }
  // The store's own account, and another one.
  Caller owner() { return {AccountId::of_store(repo_->config().id), notices_, stop_.get_token()}; }
  Caller other() { return {AccountId{111122223333}, notices_, stop_.get_token()}; }

  // Makes a file of random bytes and returns its path.
  std::string file(const std::string& name, std::size_t bytes, std::uint64_t seed = 1) {
    std::vector<std::byte> content(bytes);
    Prng(seed).fill(content);
    return file_of(name, std::string(reinterpret_cast<const char*>(content.data()), content.size()));
  }
  std::string file_of(const std::string& name, const std::string& text) {
    const std::string path = directory_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  static std::string content_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  TemporaryDirectory directory_;
  CollectedNotices notices_;
  std::stop_source stop_;
  std::unique_ptr<Repo> repo_;
};

}  // namespace ashlar
