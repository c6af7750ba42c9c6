#include "key_file.h"

#include "base/id.h"
#include "io/file_system.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxKeyBytes = 16UL * 1024;

}  // namespace

Result<SigningKey> read_key_file(const std::string& path) {
  const ByteVector text = TRY(read_file(posix_file_system(), path, kMaxKeyBytes));
  return SigningKey::from_pem(as_text(text)).with_context(path);
}

Result<PublicKey> parse_public_key(const std::string& word) {
  PublicKey key{};
  if (from_hex(word, key).ok()) return key;
  auto file = read_key_file(word);
  if (file.ok()) return file.value().public_key();
  if (file.error().code() == ErrorCode::kNotFound)
    return invalid("'" + word + "' is neither a key of 64 hexadecimal digits nor a file with one");
  return file.take_error();
}

}  // namespace ashlar
