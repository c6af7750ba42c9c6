#include "disk/watched_source.h"

namespace ashlar {
namespace {

// Fails at the end of the requested ranges unless the file is as it was when it was opened.
class WatchedReader : public RunReader {
 public:
  WatchedReader(std::unique_ptr<RunReader> reader, std::shared_ptr<const HeldFile> file)
      : reader_(std::move(reader)), file_(std::move(file)) {}

  Result<std::optional<Run>> next() override {
    auto run = reader_->next();
    if (run.ok() && !run.value()) TRY(file_->check_unchanged());
    return run;
  }
  void cancel() override { reader_->cancel(); }

 private:
  std::unique_ptr<RunReader> reader_;
  const std::shared_ptr<const HeldFile> file_;
};

class WatchedSource : public Source {
 public:
  WatchedSource(std::unique_ptr<Source> source, std::shared_ptr<const HeldFile> file, std::string name,
                std::string identity)
      : source_(std::move(source)),
        file_(std::move(file)),
        name_(std::move(name)),
        identity_(std::move(identity)) {}

  SourceType type() const override { return SourceType::kFile; }
  const std::string& name() const override { return name_; }
  std::string identity() const override { return identity_; }
  std::optional<ByteCount> size() const override { return source_->size(); }
  Result<SourceExtent> next_extent(ByteOffset offset) override { return source_->next_extent(offset); }
  Result<std::optional<std::vector<SourceExtent>>> changed_extents() override {
    return std::optional<std::vector<SourceExtent>>();
  }
  Result<std::unique_ptr<RunReader>> read(RunReader::Plan plan) override {
    return std::unique_ptr<RunReader>(
        std::make_unique<WatchedReader>(TRY(source_->read(std::move(plan))), file_));
  }

 private:
  std::unique_ptr<Source> source_;
  const std::shared_ptr<const HeldFile> file_;
  const std::string name_;
  const std::string identity_;
};

}  // namespace

std::unique_ptr<Source> watched_source(std::unique_ptr<Source> source, std::shared_ptr<const HeldFile> file,
                                       std::string name, std::string identity) {
  return std::make_unique<WatchedSource>(std::move(source), std::move(file), std::move(name),
                                         std::move(identity));
}

}  // namespace ashlar
