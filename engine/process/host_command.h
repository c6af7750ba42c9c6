// Host commands: runs a program of the host to its end.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace ashlar {

// Returns what the program printed on standard output and standard error, without the newlines at the end. An
// exit status other than 0 is kIo, with the last line that the program printed. More than 16 MiB of output is
// kInvalid.
Result<std::string> run_command(const std::vector<std::string>& words);

// Quotes a word for the command line of a shell.
std::string shell_quoted(const std::string& word);

}  // namespace ashlar
