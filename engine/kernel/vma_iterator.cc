#include "engine/kernel/vma_iterator.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

namespace cryostat::kernel {

namespace {

struct BtfFree {
  void operator()(btf* types) const { btf__free(types); }
};
using Types = std::unique_ptr<btf, BtfFree>;

// Where the iterator's program finds what it copies; bytes.
struct Layout {
  int hook = 0;       // type number of what the program is attached to
  int16_t vma = 0;    // in struct bpf_iter__task_vma
  int16_t meta = 0;   // in struct bpf_iter__task_vma
  int16_t seq = 0;    // in struct bpf_iter_meta
  int16_t start = 0;  // in struct vm_area_struct
  int16_t end = 0;    // in struct vm_area_struct
  int16_t flags = 0;  // in struct vm_area_struct
};

// Members of unnamed structs and unions within belong to `type`, too.
std::optional<uint32_t> offset_bits(const btf& types, uint32_t type_id, const char* name) {
  const btf_type* type = btf__type_by_id(&types, type_id);
  while (type != nullptr && (btf_is_mod(type) || btf_is_typedef(type)))
    type = btf__type_by_id(&types, type->type);
  if (type == nullptr || !btf_is_composite(type)) return std::nullopt;
  for (uint32_t i = 0; i < btf_vlen(type); ++i) {
    const btf_member& member = btf_members(type)[i];
    const char* const own_name = btf__name_by_offset(&types, member.name_off);
    const uint32_t at = btf_member_bit_offset(type, i);
    if (own_name != nullptr && *own_name != '\0') {
      if (std::strcmp(own_name, name) == 0) return at;
    } else if (const auto inner = offset_bits(types, member.type, name)) {
      return at + *inner;
    }
  }
  return std::nullopt;
}

Result<int16_t> offset_of(const btf& types, const char* structure, const char* member) {
  const int id = btf__find_by_name_kind(&types, structure, BTF_KIND_STRUCT);
  const auto bits =
      id > 0 ? offset_bits(types, static_cast<uint32_t>(id), member) : std::optional<uint32_t>();
  if (!bits || *bits % 8 != 0 || *bits / 8 > INT16_MAX)
    return fail(ErrorKind::kFailed, fmt::format("this kernel has no {}.{}", structure, member));
  return static_cast<int16_t>(*bits / 8);
}

Result<Layout> read_layout() {
  const Types types(btf__load_vmlinux_btf());
  if (!types) return fail_errno("read the kernel's type information");
  Layout layout;
  layout.hook = btf__find_by_name_kind(types.get(), "bpf_iter_task_vma", BTF_KIND_FUNC);
  if (layout.hook <= 0) return fail(ErrorKind::kFailed, "this kernel has no iterator of mappings");
  layout.meta = TRY(offset_of(*types, "bpf_iter__task_vma", "meta"));
  layout.vma = TRY(offset_of(*types, "bpf_iter__task_vma", "vma"));
  layout.seq = TRY(offset_of(*types, "bpf_iter_meta", "seq"));
  layout.start = TRY(offset_of(*types, "vm_area_struct", "vm_start"));
  layout.end = TRY(offset_of(*types, "vm_area_struct", "vm_end"));
  layout.flags = TRY(offset_of(*types, "vm_area_struct", "vm_flags"));
  return layout;
}

constexpr int16_t kRecord = -static_cast<int16_t>(sizeof(KernelVma));  // on the program's stack

bpf_insn load(uint8_t to, uint8_t from, int16_t offset) {
  return {BPF_LDX | BPF_MEM | BPF_DW, to, from, offset, 0};
}
bpf_insn store(uint8_t from, int16_t offset) {
  return {BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, from, offset, 0};
}
bpf_insn set(uint8_t to, int32_t value) { return {BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value}; }

// Called for each mapping, and once at the end without one: writes a KernelVma.
std::array<bpf_insn, 16> program_for(const Layout& layout) {
  return {{
      load(BPF_REG_6, BPF_REG_1, layout.vma),
      {BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_6, 0, 12, 0},  // no mapping: to the end
      load(BPF_REG_2, BPF_REG_6, layout.start),
      store(BPF_REG_2, kRecord + static_cast<int16_t>(offsetof(KernelVma, start))),
      load(BPF_REG_2, BPF_REG_6, layout.end),
      store(BPF_REG_2, kRecord + static_cast<int16_t>(offsetof(KernelVma, end))),
      load(BPF_REG_2, BPF_REG_6, layout.flags),
      store(BPF_REG_2, kRecord + static_cast<int16_t>(offsetof(KernelVma, flags))),
      load(BPF_REG_1, BPF_REG_1, layout.meta),
      load(BPF_REG_1, BPF_REG_1, layout.seq),
      {BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0},
      {BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, kRecord},
      set(BPF_REG_3, sizeof(KernelVma)),
      {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_seq_write},
      set(BPF_REG_0, 0),
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  }};
}

}  // namespace

Result<VmaIterator> VmaIterator::load() {
  libbpf_set_print(nullptr);  // errors are told by who asked
  const Layout layout = TRY_IN(read_layout(), "load the iterator of mappings");
  const auto program = program_for(layout);
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_ITER);
  options.attach_btf_id = static_cast<uint32_t>(layout.hook);
  // The kernel shows its structures only to programs under a licence it knows as compatible.
  UniqueFd loaded(bpf_prog_load(BPF_PROG_TYPE_TRACING, "cr_mappings", "Dual MIT/GPL",
                                program.data(), program.size(), &options));
  if (!loaded) return fail_errno("load the iterator of mappings");
  return VmaIterator(std::move(loaded));
}

Result<std::vector<KernelVma>> VmaIterator::read(HostPid task) const {
  const auto context = [&] { return fmt::format("list the mappings of pid {}", task.value); };
  bpf_iter_link_info which;
  std::memset(&which, 0, sizeof which);
  which.task.tid = static_cast<uint32_t>(task.value);
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.iter_info = &which;
  options.iter_info_len = sizeof which;
  const UniqueFd link(bpf_link_create(program_.get(), 0, BPF_TRACE_ITER, &options));
  if (!link) return fail_errno(context());
  const UniqueFd iterator(bpf_iter_create(link.get()));
  if (!iterator) return fail_errno(context());
  std::vector<KernelVma> areas;
  size_t bytes = 0;
  for (;;) {
    areas.resize(bytes / sizeof(KernelVma) + 2048);
    const auto room = std::as_writable_bytes(std::span(areas)).subspan(bytes);
    const ssize_t got = ::read(iterator.get(), room.data(), room.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return fail_errno(context());
    if (got == 0) break;
    bytes += static_cast<size_t>(got);
  }
  areas.resize(bytes / sizeof(KernelVma));
  return areas;
}

}  // namespace cryostat::kernel
