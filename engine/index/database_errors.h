// Errors of RocksDB, and which of them are damage. Only database.cc and tests include this. Internal to the
// module.
#pragma once

#include <rocksdb/status.h>

#include "base/result.h"

namespace ashlar {

// Returns kCorrupt for what says that rows or files are not what was written, that a file is missing, or that
// the database has another form: "make it anew". Everything else is an error of the system just then, which
// says nothing about the rows: kExhausted when the disk is full or memory is short, kBusy, and kIo.
Error error_of(const rocksdb::Status& status);

}  // namespace ashlar
