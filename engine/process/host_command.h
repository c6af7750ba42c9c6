// Running a program of the host to its end.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace ashlar {

// What it printed on standard output, without the end of the last line. An exit status other than 0 is kIo,
// with the last line that it printed.
Result<std::string> run_command(const std::vector<std::string>& words);

// As a word of a shell's command line.
std::string shell_quoted(const std::string& word);

}  // namespace ashlar
