// NbdSource: an export of an NBD server. Internal to the module.
//
// A range that base:allocation reports as a hole that reads as zeros is UNALLOCATED, zeros without a hole are
// ZERO, and a hole with undefined contents is read as data. Without base:allocation the whole export is data.
// With SourceOptions::dirty_bitmap the server's QEMU bitmap of that name gives the changed extents; opening
// fails when the server does not offer it.
//
// The identity is the URI as given.
#pragma once

#include <memory>
#include <string>

#include "source/source.h"

namespace ashlar {

Result<std::unique_ptr<Source>> open_nbd_source(const std::string& uri, const SourceOptions& options);

}  // namespace ashlar
