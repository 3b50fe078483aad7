// What tasks of the images have in common in the way of clone(2): a process can only get it at its
// birth, from one that has it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cryostat::pb {
class Task;
}

namespace cryostat::task {

// The CLONE_* flags of what both tasks have: CLONE_VM, CLONE_FILES, CLONE_FS, CLONE_SIGHAND.
uint64_t common_resources(const pb::Task& a, const pb::Task& b);

// For each task: the flags of what some task before it has too.
std::vector<uint64_t> joined_resources(std::span<const pb::Task* const> tasks);

// "address space, descriptor table"
std::string resource_names(uint64_t flags);

}  // namespace cryostat::task
