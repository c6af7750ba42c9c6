#include "program/input_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "io/descriptor.h"

namespace ashlar {

Result<std::string> read_input(const std::string& file, std::size_t limit) {
  if (file == "-") return read_all(STDIN_FILENO, limit, file);
  const UniqueFd opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened.valid()) return last_errno(file);
  return read_all(opened.get(), limit, file);
}

}  // namespace ashlar
