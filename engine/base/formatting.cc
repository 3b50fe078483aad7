// The code of fmt, once. Debian has no static libfmt, and with FMT_HEADER_ONLY every file that
// formats something compiles all of it: more than half of the time a build took.
#define FMT_HEADER_ONLY 1
#include <fmt/format.h>

namespace cryostat {

// What the declarations in fmt's headers leave to the library. Their addresses make the compiler
// emit them.
extern const void* const kFormatting[];
const void* const kFormatting[] = {
    reinterpret_cast<const void*>(
        static_cast<std::string (*)(fmt::string_view, fmt::format_args)>(fmt::vformat)),
    reinterpret_cast<const void*>(
        static_cast<void (*)(std::FILE*, fmt::string_view, fmt::format_args)>(fmt::vprint)),
    reinterpret_cast<const void*>(
        static_cast<void (*)(fmt::string_view, fmt::format_args)>(fmt::vprint)),
    reinterpret_cast<const void*>(fmt::detail::assert_fail),
};

}  // namespace cryostat
