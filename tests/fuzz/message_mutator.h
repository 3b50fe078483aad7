// Changes a protobuf message field by field: what is left of a message after random bytes were
// changed is seldom a message.
#pragma once

#include <google/protobuf/message.h>

#include <random>

namespace cryostat::fuzz {

// Sets, adds, doubles or clears one field, of the message or of one inside it.
void mutate_message(google::protobuf::Message& message, std::mt19937_64& random);

}  // namespace cryostat::fuzz
