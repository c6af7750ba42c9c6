// Keys as the command line has them.
#pragma once

#include <string>

#include "codec/signature.h"

namespace ashlar {

// The private key in a file.
Result<SigningKey> read_key_file(const std::string& path);
// 64 hexadecimal digits, or a file with a private key.
Result<PublicKey> parse_public_key(const std::string& word);

}  // namespace ashlar
