// OVA: a virtual machine in one tar file (DMTF DSP0243, "Open Virtualization Format"): a descriptor, a
// manifest of digests, and disks. It comes from elsewhere and is hostile.
//
// Members are read where they lie, nothing is unpacked: a member never takes more room than the file has.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "disk/file_range.h"

namespace ashlar {

struct OvaMember {
  std::string name;
  std::uint64_t offset = 0;  // of its first byte in the file
  std::uint64_t bytes = 0;
};

struct Ova {
  std::vector<OvaMember> members;  // as they lie in the file; the first is the descriptor (*.ovf)

  // kInvalid when there is none of that name.
  Result<OvaMember> find(const std::string& name) const;
};

// kInvalid for a file that is no OVA: another format, members that are not plain files with plain names, a
// name that is there twice, too many of them, no descriptor first. kCorrupt for one that ends too early: the
// two blocks of zeros that end a tar file must be there, directly behind the last member.
Result<Ova> read_ova(const ReadableFile& file);

// A small member as text. kInvalid when it is larger than `limit`.
Result<std::string> read_member(const ReadableFile& file, const OvaMember& member, std::uint64_t limit);

// Holds the members to the digests of the manifest (*.mf), and says whether there is one: all of `needed`
// must be named in it. SHA-1, SHA-256 and SHA-512. kCorrupt when one does not match. Certificates are not
// looked at.
Result<bool> verify_manifest(const ReadableFile& file, const Ova& ova, const std::vector<std::string>& needed,
                             const std::stop_token& stop);

}  // namespace ashlar
