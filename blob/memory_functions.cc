// The four functions that compilers call on their own even in freestanding code. General registers
// only: they run on threads whose vector registers are live.
#include <cstddef>

extern "C" {

void* memcpy(void* __restrict to, const void* __restrict from, size_t bytes) {
  void* const result = to;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
  return result;
}

void* memset(void* to, int value, size_t bytes) {
  void* const result = to;
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
  return result;
}

void* memmove(void* to, const void* from, size_t bytes) {
  auto* const out = static_cast<unsigned char*>(to);
  const auto* const in = static_cast<const unsigned char*>(from);
  if (out <= in || out >= in + bytes) return memcpy(to, from, bytes);
  // Overlapping with the destination above: backwards, with the direction flag cleared again as the
  // ABI demands.
  void* last_out = out + bytes - 1;
  const void* last_in = in + bytes - 1;
  asm volatile("std\n\trep movsb\n\tcld"
               : "+D"(last_out), "+S"(last_in), "+c"(bytes)
               :
               : "memory", "cc");
  return to;
}

int memcmp(const void* left, const void* right, size_t bytes) {
  const auto* a = static_cast<const unsigned char*>(left);
  const auto* b = static_cast<const unsigned char*>(right);
  for (; bytes >= sizeof(unsigned long); bytes -= sizeof(unsigned long)) {
    unsigned long x;
    unsigned long y;
    __builtin_memcpy(&x, a, sizeof x);
    __builtin_memcpy(&y, b, sizeof y);
    if (x != y) break;
    a += sizeof x;
    b += sizeof y;
  }
  for (; bytes > 0; --bytes, ++a, ++b) {
    if (*a != *b) return *a < *b ? -1 : 1;
  }
  return 0;
}

}  // extern "C"
