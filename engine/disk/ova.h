// OVA: a virtual machine in one tar file (DMTF DSP0243, "Open Virtualization Format"): a descriptor, a
// manifest of digests, and disks. It comes from elsewhere and is hostile.
//
// Members are read where they lie and are not unpacked: a member never takes more space than the file has.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "disk/file_range.h"

namespace ashlar {

struct OvaMember {
  std::string name;
  std::uint64_t offset = 0;  // offset of its first byte in the file
  std::uint64_t bytes = 0;
};

struct Ova {
  std::vector<OvaMember> members;  // as they lie in the file; the first is the descriptor (*.ovf)

  // Returns the member of that name, kInvalid when there is none.
  Result<OvaMember> find(const std::string& name) const;
};

// Reads the members of an OVA. Returns kInvalid for a file that is not an OVA: another format, members that
// are not plain files with plain names, a name that is given twice, too many members, no descriptor first.
// Returns kCorrupt for a truncated file: the two blocks of zeros that end a tar file must be there,
// directly after the last member.
Result<Ova> read_ova(const ReadableFile& file);

// Returns a small member as text, kInvalid when it is larger than `limit`.
Result<std::string> read_member(const ReadableFile& file, const OvaMember& member, std::uint64_t limit);

// Checks the members against the digests of the manifest (*.mf), and returns whether there is a manifest;
// when there is, it must name all of `needed`. Digests are SHA-1, SHA-256 or SHA-512. Returns kCorrupt when
// one does not match. Certificates are not checked.
Result<bool> verify_manifest(const ReadableFile& file, const Ova& ova, const std::vector<std::string>& needed,
                             const std::stop_token& stop);

}  // namespace ashlar
