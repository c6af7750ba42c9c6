#include "action/keys.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/id.h"
#include "base/interrupted.h"
#include "base/unique_fd.h"
#include "catalog/settings.h"
#include "io/descriptor.h"
#include "io/file_system.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxKeyBytes = 16UL * 1024;

// Writes the key durably, and the name of its file: a public key that was given out is of no use once its
// private key is lost.
Status write_key(int fd, const std::string& path, const std::string& pem) {
  TRY(write_all(fd, as_byte_span(pem), path));
  if (uninterrupted([&] { return ::fsync(fd); }) != 0) return last_errno(path);
  const std::string folder = std::filesystem::path(path).parent_path().native();
  return posix_file_system().sync_directory(folder.empty() ? "." : folder);
}

}  // namespace

Result<PublicKey> generate_key_file(const std::string& path) {
  const SigningKey key = TRY(SigningKey::generate());
  const std::string pem = TRY(key.pem());
  const UniqueFd fd(
      uninterrupted([&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); }));
  if (!fd.valid())
    return errno == EEXIST ? invalid(path + " exists already: keys are not replaced") : last_errno(path);
  Status written = write_key(fd.get(), path, pem);
  if (written.ok()) return key.public_key();
  ::unlink(path.c_str());
  return written.take_error();
}

Result<SigningKey> read_key_file(const std::string& path) {
  const ByteVector text = TRY(read_file(posix_file_system(), path, kMaxKeyBytes));
  return SigningKey::from_pem(as_text(text)).with_context(path);
}

Result<PublicKey> parse_public_key(const std::string& word) {
  PublicKey key{};
  if (from_hex(word, key).ok()) return key;
  const auto file = read_key_file(word);
  if (file.ok()) return file.value().public_key();
  if (is(file, ErrorCode::kNotFound))
    return invalid("'" + word + "' is neither a key of 64 hexadecimal digits nor a file with one");
  return file.error();
}

Result<std::map<PublicKey, std::string>> describe_trusted_keys(Repo& repo, const Caller& /*caller*/) {
  return TRY(get_settings(repo.objects())).trusted_keys;
}

Status trust_key(Repo& repo, const Caller& /*caller*/, const PublicKey& key, const std::string& name) {
  TRY(update_settings(repo.objects(), [&](StoreSettings& settings) -> Status {
    settings.trusted_keys[key] = name;
    return {};
  }));
  return {};
}

Status distrust_key(Repo& repo, const Caller& /*caller*/, const PublicKey& key) {
  TRY(update_settings(repo.objects(), [&](StoreSettings& settings) -> Status {
    if (settings.trusted_keys.erase(key) != 0) return {};
    return not_found(to_hex(key) + " is not trusted").about(ErrorKind::kNoSuchKey, to_hex(key));
  }));
  return {};
}

}  // namespace ashlar
