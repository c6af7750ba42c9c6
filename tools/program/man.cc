// ashlar man: the manual page, in man(7) macros, made from the same tree as the help.
#include "program/cli.h"
#include "program/option_words.h"
#include "program/output.h"

namespace ashlar {
namespace {

// Text for troff: a dash that can be copied, no escapes, and no line that is taken for a request.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) {
      out += "\\&";
      out += c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string bold(std::string_view text) { return "\\fB" + escaped(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + escaped(text) + "\\fR"; }

std::string option_heading(const OptionWords& option) {
  if (option.is_positional()) return italic(option.name);
  std::string text;
  for (const std::string& flag : option.flags) text += (text.empty() ? "" : ", ") + bold(flag);
  if (!option.value.empty()) text += " " + italic(option.value);
  return text;
}

std::string option_entries(const std::vector<OptionWords>& options) {
  std::string text;
  for (const OptionWords& option : options) {
    if (!option.is_positional() && option.flags.back() == "--help") continue;
    text += ".TP\n" + option_heading(option) + "\n" + escaped(option.about) + ".\n";
  }
  return text;
}

std::string synopsis(const VerbWords& verb) {
  std::string text = bold("ashlar " + verb.name);
  for (const OptionWords& option : verb.options) {
    if (!option.is_positional()) continue;
    const std::string name = italic(option.name) + (option.repeats ? " ..." : "");
    text += option.required ? " " + name : " [" + name + "]";
  }
  return text + " [" + italic("options") + "]";
}

std::string verb_section(const VerbWords& verb) {
  std::string text = ".SS " + verb.name + "\n" + synopsis(verb) + "\n.PP\n" + escaped(verb.about) + ".\n" +
                     option_entries(verb.options) + ".PP\nExample:\n.PP\n.nf\n.RS 4\n";
  for (const std::string& line : verb.examples) text += escaped(line) + "\n";
  return text + ".RE\n.fi\n";
}

std::string page(const ProgramWords& program) {
  std::string text = ".TH ASHLAR 1 \"\" \"ashlar " ASHLAR_VERSION "\" \"Ashlar\"\n";
  text += ".SH NAME\nashlar \\- incremental, deduplicated snapshots of block devices\n";
  text += ".SH SYNOPSIS\n\\fBashlar\\fR [\\fIoptions\\fR] \\fIverb\\fR [\\fIarguments\\fR]\n";
  text += ".SH DESCRIPTION\n" + escaped(program.about) + "\n";
  text += ".SH GLOBAL OPTIONS\nThese may stand before or after the verb.\n" + option_entries(program.options);
  text += ".SH VERBS\n";
  for (const VerbWords& verb : program.verbs) text += verb_section(verb);
  text +=
      ".SH EXIT STATUS\n"
      ".TP\n0\nDone.\n"
      ".TP\n1\nFailed, or stopped by a signal: one line on standard error says why.\n"
      ".TP\n2\nThe command line is wrong.\n"
      ".TP\n3\nStored data is damaged, or a target does not hold what its snapshot says.\n";
  text += ".SH ENVIRONMENT\n.TP\n\\fBASHLAR_STORE\\fR\nThe store, where \\fB\\-\\-store\\fR is not given.\n";
  text +=
      ".SH NOTES\nSizes are numbers with an optional unit (4096, 64K, 10G, 64TiB) and count in powers of "
      "1024. "
      "Times are UTC in the form of ISO 8601.\n"
      ".PP\nCtrl\\-C ends a verb in order; a second one ends it at once. Neither leaves anything half done "
      "visible, and a capture or restore that is run again takes up what was done.\n";
  return text;
}

}  // namespace

void add_man(Cli& cli) {
  cli.add_verb("man", "Print the manual page", "  ashlar man | man -l -");
  cli.on_run(Needs::kNothing, [&cli](const Globals&) -> Result<ExitCode> {
    print(page(cli.words()));
    return ExitCode::kDone;
  });
}

}  // namespace ashlar
