#include <fmt/format.h>

#include <condition_variable>
#include <mutex>

#include "action/account_images.h"
#include "action/images.h"

namespace ashlar {
namespace {

constexpr std::chrono::milliseconds kPoll{500};

// Sleeps for the time of a poll, or until the caller stops.
void pause(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_for(lock, stop, kPoll, [] { return false; });
}

// Opens the store anew each time: when the maker has died meanwhile, its image is failed then.
Result<ImageRecord> look(const Repo& repo, const Caller& caller, ImageId id) {
  const std::unique_ptr<Repo> again = TRY(repo.open_again());
  return AccountImages::open(*again, caller).find(id);
}

}  // namespace

Status wait_for_image(Repo& repo, const Caller& caller, ImageId id, std::chrono::seconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const ImageRecord image = TRY(look(repo, caller, id));
    if (image.state == ImageState::kAvailable) return {};
    if (image.state != ImageState::kPending)
      return invalid(
          fmt::format("{} is {}: {}", id.text(), image_state_name(image.state), image.state_reason));
    if (std::chrono::steady_clock::now() >= deadline)
      return busy(fmt::format("{} is still pending after {} s", id.text(), timeout.count()));
    pause(caller.stop);
    if (caller.stop.stop_requested()) return cancelled();
  }
}

}  // namespace ashlar
