// The ashlar program. One file a verb; each parses, calls one operation of the engine, and prints.
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <system_error>

#include "program/cli.h"

namespace {

// The next files that are opened would get the numbers of closed standard descriptors, and what is printed
// would be written into the store. The wrong way round, so that using one stays an error.
bool fill_standard_descriptors() {
  for (int fd = 0; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    if (::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) return false;
  }
  return true;
}

// Says why the program ends, and ends it. Destructors do not run: some would wait for threads that never end.
// Everything published is durable, and nothing else is seen.
[[noreturn]] void end_with(const char* why) {
  // Several threads may get here; the first one speaks for all.
  static std::atomic_flag is_ending;
  while (is_ending.test_and_set()) ::pause();
  for (const char* part : {"ashlar: ", why, "\n"})
    static_cast<void>(::write(STDERR_FILENO, part, std::strlen(part)));
  ::_exit(static_cast<int>(ashlar::ExitCode::kFailed));
}

[[noreturn]] void end_without_memory() {
  end_with("out of memory: give the program more, or fewer --threads");
}

// A thread that can't be started, or what a library throws on another thread.
[[noreturn]] void end_after_exception() {
  try {
    if (const std::exception_ptr thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::resource_unavailable_try_again)
      end_with("a thread can't be started: raise the limit of processes, or use fewer --threads");
    end_with(error.what());
  } catch (const std::exception& error) {
    end_with(error.what());
  } catch (...) {
  }
  std::abort();
}

}  // namespace

int main(int argc, char** argv) try {
  if (!fill_standard_descriptors()) return static_cast<int>(ashlar::ExitCode::kFailed);
  // A reader of our output that went away is a failed write, not a reason to die without a word.
  (void)std::signal(SIGPIPE, SIG_IGN);
  // Ignored signals outlive exec: with this one, how a child ended could not be told.
  (void)std::signal(SIGCHLD, SIG_DFL);

  // A file that grows past a limit is an error of that write.
  (void)std::signal(SIGXFSZ, SIG_IGN);
  std::set_new_handler(end_without_memory);
  (void)std::set_terminate(end_after_exception);

  // Buffers of some MiB come and go with every segment; giving them back to the system each time costs more
  // page faults than hashing costs time.
  (void)mallopt(M_MMAP_THRESHOLD, 64 << 20);   // NOLINT(concurrency-mt-unsafe): there are no threads yet
  (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);  // NOLINT(concurrency-mt-unsafe): the same

  ashlar::Cli cli;
  add_init(cli);
  add_capture(cli);
  add_restore(cli);
  add_export(cli);
  add_import_disk(cli);
  add_snapshots(cli);
  add_describe(cli);
  add_delete(cli);
  add_diff(cli);
  add_verify(cli);
  add_scrub(cli);
  add_repair(cli);
  add_stats(cli);
  add_analyze(cli);
  add_volume(cli);
  add_volume_attach(cli);
  add_serve(cli);
  add_launch(cli);
  add_instances(cli);
  add_template(cli);
  add_image(cli);
  add_image_launch(cli);
  add_image_capture(cli);
  add_image_copy(cli);
  add_image_export(cli);
  add_image_import(cli);
  add_image_ova(cli);
  add_image_changes(cli);
  add_image_sign(cli);
  add_image_verify(cli);
  add_image_inspect(cli);
  add_lifecycle(cli);
  add_bin(cli);
  add_key(cli);
  add_settings(cli);
  add_collect(cli);
  add_reindex(cli);
  add_store(cli);
  add_discard(cli);
  add_sessions(cli);
  add_completion(cli);
  add_man(cli);
  add_version(cli);
  return cli.run(argc, argv);
} catch (const std::exception& error) {
  // Only libraries throw; what gets here is mostly memory that could not be had.
  std::fprintf(stderr, "ashlar: %s\n", error.what());
  return static_cast<int>(ashlar::ExitCode::kFailed);
}
