// A check of RocksDB's table files that must come before RocksDB reads them. Internal to the module.
//
// RocksDB 7.8 parses the properties block of a table before it verifies the block's checksum. When the top
// bit of the block's last byte is set (which means a hash index, and the properties block never has one), an
// assertion in Debian's build ends the process. One flipped bit would so abort every opening of the index.
// All other damage comes back as a status.
//
// The layout, block_based_table of format 5: …, properties block, its trailer (5 bytes), metaindex block, its
// trailer, footer (53 bytes: checksum type, metaindex offset and size and index offset and size as varints,
// padding, version, magic).
#pragma once

#include <string>

namespace ashlar {

// Returns false when opening the table could end the process. Returns true for a file that is not a table:
// RocksDB refuses it by itself.
bool table_is_safe_to_open(const std::string& path);

}  // namespace ashlar
