// Output: standard output and standard error of the program.
//
// Standard output carries the answer: text that other programs can read, or one JSON document. Everything
// else (summaries, warnings, errors, progress) goes to standard error. Errors are one line.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "action/ranges_text.h"
#include "base/quantity.h"
#include "base/result.h"

namespace ashlar {

using Json = nlohmann::ordered_json;

void print(std::string_view text);
void print_json(const Json& document);
void print_note(std::string_view text);  // a line on standard error
void print_warning(std::string_view text);
// Prints "ashlar: message" on standard error, and with `json` {"error": …} on standard output. With a hint
// the line is "ashlar: message: hint", and the JSON has a member of its own for it.
void print_error(const Error& error, bool json);
void print_usage_error(std::string_view message, std::string_view hint, bool json);
Json error_json(const Error& error);
// Flushes standard output. False when anything that was printed there is lost.
bool finish_output();

// Columns as wide as their widest cell. A column is left-aligned unless its heading starts with '>'.
class Table {
 public:
  explicit Table(std::vector<std::string> headings);
  void add(std::vector<std::string> row);
  std::string text() const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;  // the headings first
};

// "name   value" lines, aligned.
std::string aligned(const std::vector<std::pair<std::string, std::string>>& lines);

// Returns block ranges as bytes, cut at the size of their volume.
Json ranges_json(const std::vector<BlockRange>& ranges, ByteCount size);

// "2.31x"; "-" when there is nothing to divide by.
std::string ratio_text(std::uint64_t whole, std::uint64_t part);
Json ratio_json(std::uint64_t whole, std::uint64_t part);
// Returns a count with its noun: "1 disk", "2 disks".
std::string count_text(std::uint64_t count, std::string_view noun);
std::string duration_text(double seconds);
// Megabytes (10^6) a second.
std::string rate_text(std::uint64_t bytes, double seconds);

}  // namespace ashlar
