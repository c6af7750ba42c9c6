// Keys: files of keys that sign images, and the keys that a store trusts. Any account may change these.
#pragma once

#include <map>
#include <string>

#include "action/caller.h"
#include "codec/signature.h"
#include "repo/repo.h"

namespace ashlar {

// Makes a key in a new file that only its owner can read, and returns the public key. Fails with kInvalid
// when the file exists: a key is never replaced.
Result<PublicKey> generate_key_file(const std::string& path);
// Returns the private key in a file.
Result<SigningKey> read_key_file(const std::string& path);
// Returns the public key that `word` gives: 64 hexadecimal digits, or a file with a private key.
Result<PublicKey> parse_public_key(const std::string& word);

// Returns the keys that the store trusts, with their names.
Result<std::map<PublicKey, std::string>> describe_trusted_keys(Repo& repo, const Caller& caller);
// Trusts a key under a name; a key that is trusted already gets the new name.
Status trust_key(Repo& repo, const Caller& caller, const PublicKey& key, const std::string& name);
// Ends the trust in a key. Fails with kNotFound, kind kNoSuchKey, when it is not trusted.
Status distrust_key(Repo& repo, const Caller& caller, const PublicKey& key);

}  // namespace ashlar
