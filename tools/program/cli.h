// Cli: the tree of verbs and options, and the way from a command line to a verb and back to an exit status.
//
// Each verb_*.cc adds its verb with its options and the function that runs it. Help, the man page and the
// shell completion are all made from this one tree. Only cli.cc and option_words.cc know CLI11.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "program/exit_code.h"
#include "program/option_words.h"

namespace ashlar {

// Options that every verb understands.
struct Globals {
  std::string store;    // path of the store; empty: not given
  std::string account;  // on whose behalf; empty: the store's own account
  bool json = false;
  std::string progress = "auto";  // auto, json, none
};

enum class Presence : unsigned char { kRequired, kOptional };
enum class Needs : unsigned char { kNothing, kStore };
using RunVerb = std::function<Result<ExitCode>(const Globals&)>;

// Options of one verb. Values are written through the references while the command line is parsed; text that
// is not of the form asked for is a usage error. `value` is what help calls the value ("FILE"); about texts
// are imperative, without a full stop.
class Verb {
 public:
  explicit Verb(CLI::App& app) : app_(app) {}

  void positional(const std::string& name, const std::string& value, std::string& out,
                  const std::string& about, Presence presence = Presence::kRequired);
  void positionals(const std::string& name, const std::string& value, std::vector<std::string>& out,
                   const std::string& about);
  void positional_choice(const std::string& name, const std::vector<std::string>& choices, std::string& out,
                         const std::string& about);
  void snapshot(const std::string& name, std::string& id, const std::string& about,
                Presence presence = Presence::kRequired);

  void volume(const std::string& name, std::string& id, const std::string& about);
  void image(const std::string& name, std::string& id, const std::string& about);

  void flag(const std::string& name, bool& out, const std::string& about);
  void text(const std::string& name, const std::string& value, std::string& out, const std::string& about);
  // May be given more than once.
  void texts(const std::string& name, const std::string& value, std::vector<std::string>& out,
             const std::string& about);
  void number(const std::string& name, unsigned low, unsigned high, unsigned& out, const std::string& about);
  void size(const std::string& name, std::uint64_t& bytes, const std::string& about, std::uint64_t least = 0);

  // Checks options against each other once all are parsed; an error is a usage error.
  void check(std::function<Status()> check);

 private:
  CLI::App& app_;
};

class Cli {
 public:
  Cli();
  ~Cli();
  Cli(const Cli&) = delete;
  Cli& operator=(const Cli&) = delete;

  // A group of verbs of two words, such as "volume create"; before its verbs.
  void add_group(const std::string& name, const std::string& about);
  // A new verb. `about` is one line in the imperative; `example` one command a line, with "# " comments.
  Verb add_verb(const std::string& name, const std::string& about, const std::string& example);
  // Sets the function that runs the verb added last. One that needs a store is refused where none is named.
  void on_run(Needs needs, RunVerb run);

  const Globals& globals() const { return globals_; }
  ProgramWords words() const;
  // Parses and runs; prints errors. Returns the exit status.
  int run(int argc, char** argv);

 private:
  struct State;
  Result<ExitCode> dispatch();
  std::string unexpected() const;
  ExitCode refuse(const std::string& message, bool json) const;

  std::unique_ptr<State> state_;
  Globals globals_;
};

// The verbs, in the order in which help shows them.
void add_init(Cli& cli);
void add_capture(Cli& cli);
void add_restore(Cli& cli);
void add_export(Cli& cli);
void add_import_disk(Cli& cli);
void add_snapshots(Cli& cli);
void add_describe(Cli& cli);
void add_delete(Cli& cli);
void add_diff(Cli& cli);
void add_verify(Cli& cli);
void add_scrub(Cli& cli);
void add_repair(Cli& cli);
void add_stats(Cli& cli);
void add_analyze(Cli& cli);
void add_volume(Cli& cli);
void add_volume_data(Cli& cli);    // the same
void add_volume_attach(Cli& cli);  // into the group of add_volume()
void add_serve(Cli& cli);
void add_launch(Cli& cli);
void add_instances(Cli& cli);
void add_template(Cli& cli);
void add_image(Cli& cli);
void add_image_changes(Cli& cli);  // into the group of add_image()
void add_image_launch(Cli& cli);   // the same
void add_image_capture(Cli& cli);  // the same
void add_image_copy(Cli& cli);     // the same
void add_image_export(Cli& cli);   // the same
void add_image_import(Cli& cli);   // the same
void add_image_ova(Cli& cli);      // the same
void add_image_sign(Cli& cli);     // the same
void add_image_verify(Cli& cli);   // the same
void add_image_inspect(Cli& cli);  // the same
void add_lifecycle(Cli& cli);
void add_bin(Cli& cli);
void add_key(Cli& cli);
void add_settings(Cli& cli);
void add_collect(Cli& cli);
void add_reindex(Cli& cli);
void add_store(Cli& cli);
void add_discard(Cli& cli);
void add_sessions(Cli& cli);
void add_completion(Cli& cli);
void add_man(Cli& cli);
void add_version(Cli& cli);

}  // namespace ashlar
