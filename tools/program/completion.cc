// ashlar completion: a completion script for a shell, made from the same tree as the help.
#include <fmt/format.h>

#include <map>

#include "program/cli.h"
#include "program/option_words.h"
#include "program/output.h"

namespace ashlar {
namespace {

// Ids come from the store that the line, or else the environment, names.
constexpr const char* kHead = R"sh(# bash completion for ashlar; printed by: ashlar completion bash

# The ids that a verb lists: _ashlar_ids PREFIX VERB...
_ashlar_ids() {
  local prefix=$1 i store=${ASHLAR_STORE-}
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == --store ]] && store=${COMP_WORDS[i + 1]}
  done
  [[ -n $store ]] && ashlar --store "$store" "${@:2}" 2>/dev/null | awk "/^$prefix-/ {print \$1}"
}

_ashlar_values() {
  case $1 in
    file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$2")) ;;
    directory) compopt -o filenames; COMPREPLY=($(compgen -d -- "$2")) ;;
    image) COMPREPLY=($(compgen -W "$(_ashlar_ids ami image list)" -- "$2")) ;;
    snapshot) COMPREPLY=($(compgen -W "$(_ashlar_ids snap snapshots)" -- "$2")) ;;
    volume) COMPREPLY=($(compgen -W "$(_ashlar_ids vol volume list)" -- "$2")) ;;
    instance) COMPREPLY=($(compgen -W "$(_ashlar_ids i instances list)" -- "$2")) ;;
    none) COMPREPLY=() ;;
    *) COMPREPLY=($(compgen -W "$1" -- "$2")) ;;
  esac
}

_ashlar() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
)sh";

// The part of the script behind the verbs' own cases.
constexpr const char* kTail = R"sh(  esac
}

complete -F _ashlar ashlar
)sh";

// Returns the values of an option or positional: an argument of _ashlar_values.
std::string values_of(const OptionWords& option) {
  if (!option.choices.empty()) {
    std::string words;
    for (const std::string& choice : option.choices) words += (words.empty() ? "" : " ") + choice;
    return words;
  }
  const std::string& value = option.value;
  if (value.starts_with("SNAP")) return "snapshot";
  if (value.starts_with("VOL")) return "volume";
  if (value.starts_with("IMAGE")) return "image";
  if (value.starts_with("INSTANCE")) return "instance";
  if (value == "STORE" || value == "DIRECTORY") return "directory";
  if (value.starts_with("FILE") || value == "SOURCE" || value == "TARGET") return "file";
  return "none";
}  // namespace ashlar

std::string join(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += between;
    text += word;
  }
  return text;
}

// Lines that complete the value of the option before the cursor.
std::string value_cases(const std::vector<OptionWords>& options, std::string_view indent) {
  std::string text;
  for (const OptionWords& option : options) {
    if (option.is_positional() || option.value.empty()) continue;
    text += fmt::format("{}{}) _ashlar_values '{}' \"$cur\"; return ;;\n", indent, join(option.flags, "|"),
                        values_of(option));
  }
  return text;
}

std::string flags_of(const std::vector<OptionWords>& options) {
  std::string text;
  for (const OptionWords& option : options) {
    if (!option.is_positional()) text += (text.empty() ? "" : " ") + join(option.flags, " ");
  }
  return text;
}

// All positionals of a verb that take the same kind of word are completed alike; the first decides.
std::string positional_of(const std::vector<OptionWords>& options, std::size_t index) {
  std::size_t seen = 0;
  std::string last = "none";
  for (const OptionWords& option : options) {
    if (!option.is_positional()) continue;
    last = values_of(option);
    if (seen++ == index || option.repeats) break;
  }
  return last;
}

std::string verb_case(const VerbWords& verb, const std::vector<OptionWords>& globals) {
  std::string text = fmt::format("    '{}')\n", verb.name);
  const std::string values = value_cases(verb.options, "        ");
  if (!values.empty()) text += "      case $prev in\n" + values + "      esac\n";
  return text + fmt::format(
                    "      if [[ $cur == -* ]]; then _ashlar_values '{} {}' \"$cur\"\n"
                    "      elif ((words == 0)); then _ashlar_values '{}' \"$cur\"\n"
                    "      else _ashlar_values '{}' \"$cur\"; fi ;;\n",
                    flags_of(verb.options), flags_of(globals), positional_of(verb.options, 0),
                    positional_of(verb.options, 1));
}

// The first words of the command line, and what may follow each: nothing, or the verbs of a group.
std::map<std::string, std::vector<std::string>> first_words(const ProgramWords& program) {
  std::map<std::string, std::vector<std::string>> words;
  for (const VerbWords& verb : program.verbs) {
    const std::size_t space = verb.name.find(' ');
    auto& members = words[verb.name.substr(0, space)];
    if (space != std::string::npos) members.push_back(verb.name.substr(space + 1));
  }
  return words;
}

std::string bash_script(const ProgramWords& program) {
  std::vector<std::string> verbs;
  std::vector<std::string> single;
  std::string groups;
  std::string group_cases;
  for (const auto& [word, members] : first_words(program)) {
    verbs.push_back(word);
    if (members.empty()) {
      single.push_back(word);
      continue;
    }
    groups += (groups.empty() ? "" : "|") + word;
    group_cases += fmt::format("    {}) _ashlar_values '{}' \"$cur\" ;;\n", word, join(members, " "));
  }
  std::string text = kHead;
  text += fmt::format("      {}) verb=${{COMP_WORDS[i]}}; break ;;\n", join(single, "|"));
  if (!groups.empty()) {
    text += fmt::format(
        "      {}) verb=${{COMP_WORDS[i]}}\n"
        "        if ((i + 1 < COMP_CWORD)); then ((i++)); verb+=\" ${{COMP_WORDS[i]}}\"; fi; break ;;\n",
        groups);
  }
  text += "    esac\n  done\n";
  // Words between the verb and the cursor; the value of an option counts too, which is close enough.
  text += "  local words=0\n";
  text += "  for ((i++; i < COMP_CWORD; i++)); do [[ ${COMP_WORDS[i]} == -* ]] || ((words++)); done\n";
  text += "  case $prev in\n" + value_cases(program.options, "    ") + "  esac\n";
  text += "  case $verb in\n";
  text += fmt::format("    '') _ashlar_values '{} {}' \"$cur\" ;;\n", join(verbs, " "),
                      flags_of(program.options));
  text += group_cases;
  for (const VerbWords& verb : program.verbs) text += verb_case(verb, program.options);
  return text + kTail;
}

}  // namespace

void add_completion(Cli& cli) {
  auto shell = std::make_shared<std::string>();
  Verb verb = cli.add_verb("completion", "Print a completion script for a shell",
                           "  source <(ashlar completion bash)");
  verb.positional_choice("SHELL", {"bash"}, *shell, "The shell");
  cli.on_run(Needs::kNothing, [&cli, shell](const Globals&) -> Result<ExitCode> {
    CHECK(*shell == "bash");  // the only choice there is
    print(bash_script(cli.words()));
    return ExitCode::kDone;
  });
}

}  // namespace ashlar
