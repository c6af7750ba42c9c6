// MetricsText: builds a page of metrics in the text format of Prometheus, version 0.0.4.
//
// Source: https://prometheus.io/docs/instrumenting/exposition_formats/. A family is begun once, and its
// samples follow it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace ashlar {

class MetricsText {
 public:
  enum class Type { kCounter, kGauge };
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // Begins a family. `name` consists of [a-zA-Z0-9_:], and ends in _total for a counter; `help` is any text.
  void family(std::string_view name, Type type, std::string_view help);
  // Adds a sample to the family begun last. Names of labels consist of [a-zA-Z0-9_], values are any UTF-8.
  void sample(std::uint64_t value, Labels labels = {});
  // Adds a family of one sample.
  void single(std::string_view name, Type type, std::string_view help, std::uint64_t value) {
    family(name, type, help);
    sample(value);
  }

  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

}  // namespace ashlar
