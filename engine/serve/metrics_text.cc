#include "serve/metrics_text.h"

#include <fmt/format.h>

#include <iterator>

#include "base/check.h"

namespace ashlar {
namespace {

enum class Quotes { kPlain, kEscaped };

std::string escaped(std::string_view text, Quotes quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\\') {
      out += "\\\\";
    } else if (c == '"' && quotes == Quotes::kEscaped) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

void MetricsText::family(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name,
                 escaped(help, Quotes::kPlain), name, type == Type::kCounter ? "counter" : "gauge");
}

void MetricsText::sample(std::uint64_t value, Labels labels) {
  CHECK(!name_.empty());
  text_ += name_;
  char before = '{';
  for (const auto& [label, text] : labels) {
    fmt::format_to(std::back_inserter(text_), "{}{}=\"{}\"", before, label, escaped(text, Quotes::kEscaped));
    before = ',';
  }
  if (before == ',') text_ += '}';
  fmt::format_to(std::back_inserter(text_), " {}\n", value);
}

}  // namespace ashlar
