// A check of RocksDB's table files that must come before RocksDB reads them.
//
// RocksDB 7.8 takes the properties block of a table apart before it verifies its checksum, and an assertion
// of Debian's build ends the process when the top bit of the block's last byte is set (it means a hash index,
// which that block never has). One flipped bit would so abort every opening. All other damage comes back as a
// status.
//
// Layout, block_based_table of format 5: …, properties block, its trailer (5 bytes), metaindex block, its
// trailer, footer (53 bytes: checksum type, metaindex offset and size and index offset and size as varints,
// padding, version, magic).
#pragma once

#include <string>

namespace ashlar {

// False when opening the table could end the process. A file that is no table at all is left to RocksDB to
// refuse.
bool table_is_safe_to_open(const std::string& path);

}  // namespace ashlar
