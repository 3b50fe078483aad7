// Writes JSON text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace cryostat::cli {

// Appends to one string; commas are put in as needed. Keys and strings are escaped; bytes that are
// not UTF-8 become U+FFFD, so that the result always parses.
class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& begin_object(std::string_view key) { return this->key(key).open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array(std::string_view key) { return this->key(key).open('['); }
  JsonWriter& end_array() { return close(']'); }

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(bool on) { return raw(on ? "true" : "false"); }
  template <typename Int>
  requires(std::is_integral_v<Int> && !std::is_same_v<Int, bool>) JsonWriter& value(Int number) {
    return raw(std::to_string(number));
  }
  JsonWriter& null() { return raw("null"); }

  JsonWriter& key(std::string_view key);
  template <typename Value>
  JsonWriter& field(std::string_view name, const Value& item) {
    return key(name).value(item);
  }

  const std::string& text() const { return out_; }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  JsonWriter& raw(std::string_view text);
  void separate();

  std::string out_;
  bool needs_comma_ = false;
};

}  // namespace cryostat::cli
