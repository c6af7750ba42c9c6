#include "program/option_words.h"

#include <CLI/CLI.hpp>
#include <sstream>

namespace ashlar {
namespace {

// CLI11 writes a choice as "TEXT:{auto,json,none}".
std::vector<std::string> choices_of(const std::string& type) {
  const std::size_t open = type.find('{');
  const std::size_t close = type.find('}');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  std::vector<std::string> choices;
  std::istringstream words(type.substr(open + 1, close - open - 1));
  for (std::string word; std::getline(words, word, ',');) choices.push_back(word);
  return choices;
}

std::string value_of(const CLI::Option& option, const std::vector<std::string>& choices) {
  if (option.get_items_expected_max() == 0) return "";
  if (choices.empty()) {
    const std::string type = option.get_type_name();
    return type.starts_with("FILE|") ? type : type.substr(0, type.find(':'));
  }
  std::string text;
  for (const std::string& choice : choices) text += (text.empty() ? "" : "|") + choice;
  return text;
}

OptionWords words_of(const CLI::Option& option) {
  OptionWords words;
  for (const std::string& name : option.get_snames()) words.flags.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) words.flags.push_back("--" + name);
  if (option.get_positional()) words.name = option.get_name(true);
  words.choices = choices_of(option.get_type_name());
  words.value = value_of(option, words.choices);
  words.about = option.get_description();
  words.required = option.get_required();
  words.repeats = option.get_items_expected_max() > 1;
  return words;
}

std::vector<OptionWords> options_of(const CLI::App& app) {
  std::vector<OptionWords> options;
  for (const CLI::Option* option : app.get_options()) options.push_back(words_of(*option));
  return options;
}

// The footer of a verb is "Example:" and indented lines.
std::vector<std::string> examples_of(const CLI::App& verb) {
  std::vector<std::string> examples;
  std::istringstream lines(verb.get_footer());
  for (std::string line; std::getline(lines, line);) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin != 0 && begin != std::string::npos) examples.push_back(line.substr(begin));
  }
  return examples;
}

std::vector<const CLI::App*> verbs_below(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* v) { return !v->get_name().empty(); });
}

}  // namespace

ProgramWords words_of(const CLI::App& app) {
  ProgramWords words = {app.get_description(), options_of(app), {}};
  const auto add = [&](const std::string& name, const CLI::App& verb) {
    words.verbs.push_back({name, verb.get_description(), examples_of(verb), options_of(verb)});
  };
  for (const CLI::App* verb : verbs_below(app)) {
    const auto group = verbs_below(*verb);
    if (group.empty()) add(verb->get_name(), *verb);
    for (const CLI::App* member : group) add(verb->get_name() + " " + member->get_name(), *member);
  }
  return words;
}

}  // namespace ashlar
