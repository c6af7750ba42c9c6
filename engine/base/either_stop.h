// EitherStop: a stop token for work that ends when either of two others asks for it.
#pragma once

#include <stop_token>

namespace ashlar {

class EitherStop {
 public:
  EitherStop(const std::stop_token& one, const std::stop_token& other)
      : on_one_(one, Ask{source_}), on_other_(other, Ask{source_}) {}
  const std::stop_token& token() const { return token_; }

 private:
  struct Ask {
    std::stop_source& source;
    void operator()() const { source.request_stop(); }
  };
  std::stop_source source_;
  std::stop_token token_ = source_.get_token();
  std::stop_callback<Ask> on_one_;
  std::stop_callback<Ask> on_other_;
};

}  // namespace ashlar
