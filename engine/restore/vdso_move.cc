#include "engine/restore/vdso_move.h"

#include <fmt/format.h>
#include <sys/user.h>

#include <algorithm>
#include <cstring>

#include "engine/arch/x86_64/vdso.h"
#include "engine/base/ids.h"
#include "engine/procfs/maps.h"
#include "engine/restore/own_maps.h"
#include "proto/mm.pb.h"
#include "proto/task.pb.h"

namespace cryostat::restore {
namespace {

using Bytes = std::span<const unsigned char>;

// jmp *0(%rip); .quad address. Changes no register, so it fits any function's entry.
constexpr size_t kJumpBytes = 14;
// mov $-ENOSYS, %rax; ret.
constexpr unsigned char kNoSuchCall[] = {0x48, 0xc7, 0xc0, 0xda, 0xff, 0xff, 0xff, 0xc3};

Bytes as_bytes(const std::string& text) {
  return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

bool is_vvar(const std::string& name) { return name.rfind("[vvar", 0) == 0; }

Bytes current_image(const VdsoChoice& choice) {
  return {reinterpret_cast<const unsigned char*>(choice.vdso_start),
          static_cast<size_t>(choice.vdso_size_bytes)};
}

// The same code at the same distance from its data: then the mappings as they are can stand where
// the old ones stood. Bytes alone may differ, the kernel patches the vDSO for the processor.
bool is_same_vdso(const pb::AddressSpace& space, Bytes old_image, const VdsoChoice& choice) {
  const Bytes now = current_image(choice);
  if (space.vdso_size_bytes() != choice.vdso_size_bytes) return false;
  const uint64_t data_bytes = choice.vdso_start - choice.group_start;
  const uint64_t old_data_bytes = space.vdso_start() - space.vvar_start();
  if (space.vvar_size_bytes() != 0 && data_bytes != old_data_bytes) return false;
  if (old_image.size() == now.size() &&
      std::memcmp(old_image.data(), now.data(), now.size()) == 0) {
    return true;
  }
  const auto parsed = arch::parse_vdso(now);
  if (!parsed.has_value() || parsed->build_id.empty()) return false;
  const Bytes old_id = as_bytes(space.vdso_build_id());
  return std::equal(parsed->build_id.begin(), parsed->build_id.end(), old_id.begin(), old_id.end());
}

// A thread in the middle of a vDSO function has registers that only that very code understands.
Result<void> check_no_thread_inside(const pb::AddressSpace& space,
                                    const std::vector<pb::Thread>& threads) {
  for (const pb::Thread& thread : threads) {
    user_regs_struct registers{};
    const std::string& general = thread.registers().general();
    if (general.size() != sizeof(registers)) continue;
    std::memcpy(&registers, general.data(), sizeof(registers));
    if (registers.rip < space.vdso_start() ||
        registers.rip >= space.vdso_start() + space.vdso_size_bytes()) {
      continue;
    }
    return fail(
        ErrorKind::kMachine,
        fmt::format("thread {} was dumped inside the vDSO, and this kernel's vDSO is another",
                    thread.tid()));
  }
  return {};
}

void put_jump(unsigned char* at, uint64_t address) {
  constexpr unsigned char kJump[] = {0xff, 0x25, 0, 0, 0, 0};
  std::memcpy(at, kJump, sizeof(kJump));
  std::memcpy(at + sizeof(kJump), &address, sizeof(address));
}

}  // namespace

// They lie in a row, the vDSO last.
Result<VdsoChoice> find_own_vdso() {
  VdsoChoice choice;
  for (procfs::MapsEntry& entry : TRY(procfs::parse_maps(TRY(read_own_maps())))) {
    const bool vdso = entry.name == "[vdso]";
    if (!vdso && !is_vvar(entry.name)) continue;
    if (vdso) {
      choice.vdso_start = entry.start;
      choice.vdso_size_bytes = entry.size_bytes();
    }
    choice.current.push_back({std::move(entry.name), entry.start, entry.end});
  }
  if (choice.current.empty()) return choice;
  choice.group_start = choice.current.front().start;
  choice.group_end = choice.current.back().end;
  return choice;
}

Result<VdsoChoice> choose_vdso(VdsoChoice choice, const pb::AddressSpace& space,
                               const std::string& image_text,
                               const std::vector<pb::Thread>& threads, VdsoMode mode) {
  const Bytes image = as_bytes(image_text);
  if (space.vdso_start() == 0) {
    // The restore works with this kernel's, which goes with the restorer's area.
    choice.why = "the target has none";
  }
  if (choice.vdso_start == 0) {
    return fail(ErrorKind::kMachine, "this kernel maps no vDSO, the target had one");
  }
  choice.target_vdso = space.vdso_start();
  choice.target_vdso_size_bytes = space.vdso_size_bytes();
  const bool same = is_same_vdso(space, image, choice);
  if (mode == VdsoMode::kMove && !same) {
    return fail(ErrorKind::kMachine,
                "this kernel's vDSO differs from the target's, it can't be moved there");
  }
  if (space.vdso_start() != 0 && same && mode != VdsoMode::kRetarget) {
    choice.way = VdsoChoice::Way::kMove;
    choice.why = fmt::format("same as the target's, moves to {:#x}", space.vdso_start());
    return choice;
  }
  choice.way = VdsoChoice::Way::kRetarget;
  if (space.vdso_start() == 0) return choice;
  TRY(check_no_thread_inside(space, threads));
  if (image.empty() || image.size() > space.vdso_size_bytes()) {
    return fail(ErrorKind::kImages,
                fmt::format("the image of the target's vDSO has {} bytes instead of {}",
                            image.size(), space.vdso_size_bytes()));
  }
  choice.old_image.assign(image.begin(), image.end());
  TRY(retarget_image(choice.old_image, current_image(choice), choice.vdso_start));
  choice.why =
      fmt::format("{}, its functions at {:#x} will call this kernel's",
                  same ? "same as the target's" : "differs from the target's", space.vdso_start());
  return choice;
}

Result<std::vector<unsigned char>> retarget_image(Bytes image, Bytes current, uint64_t current_at) {
  const arch::Vdso old_vdso = TRY_IN(arch::parse_vdso(image), "the target's vDSO");
  const arch::Vdso new_vdso = TRY_IN(arch::parse_vdso(current), "this kernel's vDSO");
  std::vector<unsigned char> patched(image.begin(), image.end());
  std::vector<uint64_t> entries;  // of all functions, to see that no patch reaches into the next
  for (const arch::VdsoSymbol& symbol : old_vdso.functions) entries.push_back(symbol.offset);
  std::sort(entries.begin(), entries.end());
  for (const arch::VdsoSymbol& symbol : old_vdso.functions) {
    const auto next = std::upper_bound(entries.begin(), entries.end(), symbol.offset);
    const uint64_t end =
        std::min<uint64_t>(next == entries.end() ? image.size() : *next, image.size());
    if (symbol.offset + kJumpBytes > end) {
      return fail(
          ErrorKind::kMachine,
          fmt::format("{} of the target's vDSO is too short to be re-targeted", symbol.name));
    }
    const arch::VdsoSymbol* now = new_vdso.find(symbol.name);
    if (now != nullptr) {
      put_jump(patched.data() + symbol.offset, current_at + now->offset);
    } else {
      std::memcpy(patched.data() + symbol.offset, kNoSuchCall, sizeof(kNoSuchCall));
    }
  }
  return patched;
}

}  // namespace cryostat::restore
