// Walks over /proc text: numbers, blanks and lines, never past the end. Nothing here allocates.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace cryostat::procfs {

class TextCursor {
 public:
  explicit TextCursor(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool at_end() const { return at_ == end_; }
  std::string_view rest() const { return {at_, static_cast<size_t>(end_ - at_)}; }

  void skip_blanks() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t')) ++at_;
  }
  // Takes `c` if it is next.
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  bool take(std::string_view word) {
    if (!rest().starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  // A number in `base` (no prefix, no leading blanks); false leaves the cursor where it was.
  template <typename Int>
  bool number(Int& value, int base = 10) {
    const auto [next, error] = std::from_chars(at_, end_, value, base);
    if (error != std::errc()) return false;
    at_ = next;
    return true;
  }
  // Hexadecimal, the hot one of maps: from_chars is three times slower.
  bool hex(uint64_t& value) {
    uint64_t result = 0;
    const char* at = at_;
    for (; at != end_; ++at) {
      const unsigned char c = static_cast<unsigned char>(*at);
      unsigned digit;
      if (c >= '0' && c <= '9') {
        digit = c - '0';
      } else if (c >= 'a' && c <= 'f') {
        digit = c - 'a' + 10u;
      } else if (c >= 'A' && c <= 'F') {
        digit = c - 'A' + 10u;
      } else {
        break;
      }
      if (result >> 60 != 0) return false;
      result = result << 4 | digit;
    }
    if (at == at_) return false;
    at_ = at;
    value = result;
    return true;
  }
  // Blanks, then a number.
  template <typename Int>
  bool next_number(Int& value, int base = 10) {
    skip_blanks();
    return number(value, base);
  }
  // Up to the next blank, newline or the end; empty when there is none.
  std::string_view word() {
    skip_blanks();
    const char* start = at_;
    while (at_ != end_ && *at_ != ' ' && *at_ != '\t' && *at_ != '\n') ++at_;
    return {start, static_cast<size_t>(at_ - start)};
  }
  // The rest of the line without its newline; moves to the next line.
  std::string_view line() {
    const char* start = at_;
    const char* stop =
        at_ == end_
            ? nullptr
            : static_cast<const char*>(std::memchr(at_, '\n', static_cast<size_t>(end_ - at_)));
    if (stop == nullptr) {
      at_ = end_;
      return {start, static_cast<size_t>(end_ - start)};
    }
    at_ = stop + 1;
    return {start, static_cast<size_t>(stop - start)};
  }

 private:
  const char* at_;
  const char* end_;
};

// Undoes the \ooo escapes the kernel writes for blanks, newlines and backslashes (mangle_path).
std::string unescape_octal(std::string_view text);

// For error messages: the first 60 bytes, control characters replaced.
std::string excerpt(std::string_view text);

}  // namespace cryostat::procfs
