// NbdSource: an export of an NBD server.
//
// What base:allocation calls a hole that reads as zeros is UNALLOCATED, zeros without a hole are ZERO, and a
// hole whose contents are undefined is read as data. Without base:allocation all is data. With
// SourceOptions::dirty_bitmap the server's QEMU bitmap of that name gives the changed extents; a server that
// does not offer it is refused.
//
// The identity is the URI as given.
#pragma once

#include <memory>
#include <string>

#include "source/source.h"

namespace ashlar {

Result<std::unique_ptr<Source>> open_nbd_source(const std::string& uri, const SourceOptions& options);

}  // namespace ashlar
