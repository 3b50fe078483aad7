#include "tests/fuzz/message_mutator.h"

#include <array>
#include <string>

namespace cryostat::fuzz {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kDeepest = 6;

uint64_t pick_number(std::mt19937_64& random) {
  // Bounds of integers, of pages, of addresses, of tables.
  constexpr std::array<uint64_t, 20> kInteresting = {
      0,        1,          2,          3,          7,          15,          64,
      65,       127,        255,        4095,       4096,       4097,        0x7fffffff,
      1u << 31, 0xffffffff, 1ull << 32, 1ull << 47, 1ull << 63, ~uint64_t{0}};
  switch (random() % 4) {
    case 0:
      return random() >> (random() % 64);
    case 1:
      return (random() >> (random() % 64)) & ~uint64_t{4095};
    default:
      return kInteresting[random() % kInteresting.size()];
  }
}

std::string pick_string(std::mt19937_64& random) {
  constexpr std::array<size_t, 9> kSizes = {0, 1, 8, 15, 16, 128, 216, 576, 4096};
  std::string text(kSizes[random() % kSizes.size()],
                   static_cast<char>(random() % 2 == 0 ? '/' : random()));
  return text;
}

// Calls change(old) → new value and stores it: the field itself, one of its elements, or a new one.
template <typename Set, typename SetElement, typename Add>
void store(const Message& message, const FieldDescriptor& field, std::mt19937_64& random, Set set,
           SetElement set_element, Add add) {
  if (!field.is_repeated()) return set();
  const int size = message.GetReflection()->FieldSize(message, &field);
  if (size == 0 || random() % 2 == 0) return add();
  set_element(static_cast<int>(random() % static_cast<uint64_t>(size)));
}

void mutate_inside(Message& message, const FieldDescriptor& field, std::mt19937_64& random,
                   int depth);

void mutate_at(Message& message, std::mt19937_64& random, int depth) {
  const auto* type = message.GetDescriptor();
  if (type->field_count() == 0 || depth > kDeepest) return;
  const FieldDescriptor& field =
      *type->field(static_cast<int>(random() % static_cast<uint64_t>(type->field_count())));
  const Reflection& access = *message.GetReflection();
  const uint64_t choice = random() % 16;
  if (choice == 0) return access.ClearField(&message, &field);
  if (choice == 1 && field.is_repeated()) {
    const int size = access.FieldSize(message, &field);
    if (size > 1) return access.SwapElements(&message, &field, 0, size - 1);
    if (size == 1) return access.RemoveLast(&message, &field);
  }
  mutate_inside(message, field, random, depth);
}

void mutate_inside(Message& message, const FieldDescriptor& field, std::mt19937_64& random,
                   int depth) {
  const Reflection& access = *message.GetReflection();
#define CRYOSTAT_STORE(Type, value)                                               \
  store(                                                                          \
      message, field, random, [&] { access.Set##Type(&message, &field, value); }, \
      [&](int at) { access.SetRepeated##Type(&message, &field, at, value); },     \
      [&] { access.Add##Type(&message, &field, value); })
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return CRYOSTAT_STORE(Int32, static_cast<int32_t>(pick_number(random)));
    case FieldDescriptor::CPPTYPE_INT64:
      return CRYOSTAT_STORE(Int64, static_cast<int64_t>(pick_number(random)));
    case FieldDescriptor::CPPTYPE_UINT32:
      return CRYOSTAT_STORE(UInt32, static_cast<uint32_t>(pick_number(random)));
    case FieldDescriptor::CPPTYPE_UINT64:
      return CRYOSTAT_STORE(UInt64, pick_number(random));
    case FieldDescriptor::CPPTYPE_BOOL:
      return CRYOSTAT_STORE(Bool, random() % 2 == 0);
    case FieldDescriptor::CPPTYPE_ENUM:
      return CRYOSTAT_STORE(EnumValue, static_cast<int>(pick_number(random) % 40));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return CRYOSTAT_STORE(Double, static_cast<double>(pick_number(random)));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return CRYOSTAT_STORE(Float, static_cast<float>(pick_number(random)));
    case FieldDescriptor::CPPTYPE_STRING:
      return CRYOSTAT_STORE(String, pick_string(random));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return store(
          message, field, random,
          [&] { mutate_at(*access.MutableMessage(&message, &field), random, depth + 1); },
          [&](int at) {
            mutate_at(*access.MutableRepeatedMessage(&message, &field, at), random, depth + 1);
          },
          [&] { mutate_at(*access.AddMessage(&message, &field), random, depth + 1); });
  }
#undef CRYOSTAT_STORE
}

}  // namespace

void mutate_message(Message& message, std::mt19937_64& random) { mutate_at(message, random, 0); }

}  // namespace cryostat::fuzz
