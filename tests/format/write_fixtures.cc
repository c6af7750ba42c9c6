// write_fixtures DIRECTORY: writes the golden files. It ran once for each format version. It refuses to
// replace a file, because the fixtures in the repository stand for stores that people have.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "codec/hash.h"
#include "format/golden.h"

namespace {

bool write_new(const std::filesystem::path& path, ashlar::ByteSpan bytes) {
  if (std::filesystem::exists(path)) {
    std::fprintf(stderr, "write_fixtures: %s exists\n", path.c_str());
    return false;
  }
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  const std::string_view text = ashlar::as_text(bytes);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  return out.flush().good();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_fixtures DIRECTORY\n");
    return 2;
  }
  for (const ashlar::golden::File& file : ashlar::golden::files({})) {
    if (!write_new(std::filesystem::path(argv[1]) / file.name, file.bytes)) return 1;
  }
  const std::string sum = ashlar::to_hex(ashlar::sha256(ashlar::golden::volume_bytes())) + "  volume.raw\n";
  return write_new(std::filesystem::path(argv[1]) / "volume.sha256", ashlar::as_byte_span(sum)) ? 0 : 1;
}
