#include "engine/arch/x86_64/vdso.h"

#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace cryostat::arch {

namespace {

// A vDSO exports about a dozen functions.
constexpr size_t kMaxSymbols = 1024;
constexpr size_t kMaxBuildIdBytes = 64;
constexpr size_t kMaxVdsoBytes = 1 << 20;

Failure bad_image(std::string_view why) {
  return fail(ErrorKind::kFailed, fmt::format("read vDSO image: {}", why));
}

struct ElfEnd {
  void operator()(Elf* elf) const { elf_end(elf); }
};

Result<void> read_symbols(Elf_Scn* section, const GElf_Shdr& header, uint64_t base, uint64_t limit,
                          Elf* elf, Vdso& vdso) {
  Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr || header.sh_entsize == 0) return bad_image("unreadable symbol table");
  const size_t count = header.sh_size / header.sh_entsize;
  if (count > kMaxSymbols) return bad_image(fmt::format("{} symbols", count));
  for (size_t i = 0; i < count; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
    if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
    const char* name = elf_strptr(elf, header.sh_link, symbol.st_name);
    if (name == nullptr) return bad_image("a symbol without a name");
    if (symbol.st_value < base || symbol.st_value - base >= limit) {
      return bad_image(fmt::format("symbol {} lies outside the image", name));
    }
    vdso.functions.push_back({name, symbol.st_value - base, symbol.st_size});
  }
  return {};
}

void read_build_id(Elf_Scn* section, Vdso& vdso) {
  Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr) return;
  GElf_Nhdr note;
  size_t name_at = 0;
  size_t text_at = 0;
  for (size_t at = 0; (at = gelf_getnote(data, at, &note, &name_at, &text_at)) > 0;) {
    const char* bytes = static_cast<const char*>(data->d_buf);
    if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 ||
        std::memcmp(bytes + name_at, "GNU", 4) != 0 || note.n_descsz > kMaxBuildIdBytes) {
      continue;
    }
    vdso.build_id.assign(bytes + text_at, bytes + text_at + note.n_descsz);
  }
}

// The address the image is linked at: that of its first loaded byte (0 on every kernel so far).
uint64_t link_base(Elf* elf) {
  size_t count = 0;
  if (elf_getphdrnum(elf, &count) != 0) return 0;
  for (size_t i = 0; i < count; ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(elf, static_cast<int>(i), &header) != nullptr && header.p_type == PT_LOAD) {
      return header.p_vaddr - header.p_offset;
    }
  }
  return 0;
}

}  // namespace

const VdsoSymbol* Vdso::find(std::string_view name) const {
  for (const VdsoSymbol& symbol : functions) {
    if (symbol.name == name) return &symbol;
  }
  return nullptr;
}

Result<Vdso> parse_vdso(std::span<const unsigned char> image) {
  if (image.size() > kMaxVdsoBytes) return bad_image(fmt::format("{} bytes", image.size()));
  if (elf_version(EV_CURRENT) == EV_NONE) return bad_image("libelf is too old");
  // libelf takes a writable pointer but, without elf_update, only reads; a copy keeps it honest
  // about alignment too.
  std::vector<char> bytes(image.begin(), image.end());
  const std::unique_ptr<Elf, ElfEnd> elf(elf_memory(bytes.data(), bytes.size()));
  GElf_Ehdr header;
  if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF ||
      gelf_getehdr(elf.get(), &header) == nullptr) {
    return bad_image("not an ELF image");
  }
  if (header.e_machine != EM_X86_64 || gelf_getclass(elf.get()) != ELFCLASS64) {
    return bad_image("not a 64-bit x86 image");
  }
  Vdso vdso;
  const uint64_t base = link_base(elf.get());
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(elf.get(), section)) != nullptr) {
    GElf_Shdr info;
    if (gelf_getshdr(section, &info) == nullptr) return bad_image("unreadable section header");
    if (info.sh_type == SHT_DYNSYM) {
      TRY(read_symbols(section, info, base, image.size(), elf.get(), vdso));
    } else if (info.sh_type == SHT_NOTE) {
      read_build_id(section, vdso);
    }
  }
  if (vdso.functions.empty()) return bad_image("no exported function");
  return vdso;
}

std::optional<uint64_t> used_vdso_bytes(std::span<const unsigned char> image) {
  Elf64_Ehdr header;
  if (image.size() < sizeof(header)) return std::nullopt;
  std::copy_n(image.data(), sizeof(header), reinterpret_cast<unsigned char*>(&header));
  if (!std::equal(header.e_ident, header.e_ident + SELFMAG, ELFMAG)) return std::nullopt;
  uint64_t end = 0;
  const uint64_t headers_end = header.e_shoff + uint64_t{header.e_shnum} * header.e_shentsize;
  if (header.e_shoff < kMaxVdsoBytes && headers_end <= kMaxVdsoBytes) end = headers_end;
  for (size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    const uint64_t offset = header.e_phoff + i * sizeof(segment);
    if (offset > image.size() - sizeof(segment)) return std::nullopt;
    std::copy_n(image.data() + offset, sizeof(segment), reinterpret_cast<unsigned char*>(&segment));
    if (segment.p_type == PT_LOAD) end = std::max(end, segment.p_vaddr + segment.p_memsz);
  }
  return end;
}

}  // namespace cryostat::arch
