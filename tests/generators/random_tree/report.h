// The text in which a member describes itself.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>

namespace random_tree {

class Report {
 public:
  explicit Report(std::string prefix) : prefix_(std::move(prefix)) {}

  __attribute__((format(printf, 2, 3))) void line(const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    text_ += prefix_ + text + "\n";
  }
  const std::string& text() const { return text_; }

 private:
  std::string prefix_;
  std::string text_;
};

}  // namespace random_tree
