// Option words: the facts that the man page and the completion need about the verbs and options, read from
// the CLI11 tree.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace ashlar {

struct OptionWords {
  std::vector<std::string> flags;    // "-h", "--help"; empty for a positional
  std::string name;                  // of a positional
  std::string value;                 // "FILE"; empty for a flag without a value
  std::vector<std::string> choices;  // when only some words are allowed
  std::string about;
  bool required = false;
  bool repeats = false;

  bool is_positional() const { return flags.empty(); }
};

struct VerbWords {
  std::string name;  // "capture"; "volume create" of a group
  std::string about;
  std::vector<std::string> examples;  // a command or "# comment" each
  std::vector<OptionWords> options;
};

struct ProgramWords {
  std::string about;
  std::vector<OptionWords> options;
  std::vector<VerbWords> verbs;
};

ProgramWords words_of(const CLI::App& app);

}  // namespace ashlar
