#include "program/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/units.h"
#include "program/hints.h"

namespace ashlar {
namespace {

// Names and tags come from other people's disks and records: nothing in them may steer a terminal.
std::string one_line(std::string_view text) {
  std::string line(text);
  for (std::size_t i = 0; i < line.size(); ++i) {
    const auto byte = static_cast<unsigned char>(line[i]);
    const bool is_c1 = byte == 0xc2 && i + 1 < line.size() && static_cast<unsigned char>(line[i + 1]) < 0xa0;
    if (byte < 0x20 || byte == 0x7f) line[i] = ' ';
    if (is_c1) line[i] = line[i + 1] = ' ';
  }
  return line;
}

Json error_body(std::string_view code, std::string_view message, std::string_view hint) {
  Json error = {{"code", code}, {"message", message}};
  if (!hint.empty()) error["hint"] = hint;
  return error;
}

void print_error(std::string_view code, std::string_view message, std::string_view hint, bool json) {
  const std::string line = one_line(message);
  if (json) print_json({{"error", error_body(code, line, hint)}});
  print_note("ashlar: " + line + (hint.empty() ? "" : ": " + std::string(hint)));
}

// Cells are UTF-8: one column a code point is close enough for names.
std::size_t width_of(const std::string& cell) {
  return static_cast<std::size_t>(
      std::ranges::count_if(cell, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

}  // namespace

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_json(const Json& document) {
  print(document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

// Flushes standard output first, so that both keep their order in one file or pipe (2>&1); a failure shows in
// finish_output(). fmt::print would throw where standard error can't be written; nothing fails for want of a
// note.
void print_note(std::string_view text) {
  std::fflush(stdout);
  const std::string line = std::string(text) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void print_warning(std::string_view text) { print_note("ashlar: warning: " + one_line(text)); }

Json error_json(const Error& error) {
  return error_body(error_code_name(error.code()), one_line(error.text()), hint_of(error));
}

void print_error(const Error& error, bool json) {
  print_error(error_code_name(error.code()), error.text(), hint_of(error), json);
}

void print_usage_error(std::string_view message, std::string_view hint, bool json) {
  print_error("usage", message, hint, json);
}

bool finish_output() { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; }

Table::Table(std::vector<std::string> headings) {
  for (std::string& heading : headings) {
    right_.push_back(heading.starts_with('>'));
    if (right_.back()) heading.erase(0, 1);
  }
  rows_.push_back(std::move(headings));
}

void Table::add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = one_line(cell);
  rows_.push_back(std::move(row));
}

std::string Table::text() const {
  std::vector<std::size_t> widths(right_.size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string room(widths[i] - width_of(row[i]), ' ');
      if (i > 0) line += "  ";
      line += right_[i] ? room + row[i] : row[i] + room;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string aligned(const std::vector<std::pair<std::string, std::string>>& lines) {
  std::size_t width = 0;
  for (const auto& [name, value] : lines) width = std::max(width, name.size());
  std::string text;
  for (const auto& [name, value] : lines)
    text += fmt::format("{:<{}}  {}\n", one_line(name), width, one_line(value));
  return text;
}

Json ranges_json(const std::vector<BlockRange>& ranges, ByteCount size) {
  Json out = Json::array();
  for (const BlockRange& range : ranges) {
    const ByteRange bytes = byte_range(range, size);
    out.push_back({{"offset", bytes.offset}, {"length", bytes.length}});
  }
  return out;
}

std::string ratio_text(std::uint64_t whole, std::uint64_t part) {
  if (part == 0) return "-";
  return fmt::format("{:.2f}x", static_cast<double>(whole) / static_cast<double>(part));
}

Json ratio_json(std::uint64_t whole, std::uint64_t part) {
  if (part == 0) return nullptr;
  return std::round(1000.0 * static_cast<double>(whole) / static_cast<double>(part)) / 1000.0;
}

std::string count_text(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string duration_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(seconds);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string rate_text(std::uint64_t bytes, double seconds) {
  if (seconds <= 0) return "-";
  return fmt::format("{:.0f} MB/s", static_cast<double>(bytes) / 1e6 / seconds);
}

}  // namespace ashlar
