// Build step: checks a linked blob and writes it as C++ source.
//   embed_blob NAME FILE.elf OUT        writes OUT.cc and OUT.h
// Fails on anything a blob must not have: undefined symbols, relocations, constructors,
// thread-local storage, sections the linker script does not know, entry points outside the code.
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMaxBytes = 4 << 20;

struct Blob {
  std::vector<unsigned char> bytes;
  uint64_t text_bytes = 0;
  std::vector<std::pair<std::string, uint64_t>> entries;
};

[[noreturn]] void refuse(const std::string& why) { throw std::runtime_error(why); }

// Names of allocated sections that become part of the image.
bool is_image_section(std::string_view name) {
  return name == ".text" || name == ".rodata" || name == ".data" || name == ".bss";
}

void check_section(std::string_view name, const GElf_Shdr& header) {
  const std::string label(name);
  if (header.sh_size == 0) return;
  if (name == ".init_array") refuse("it has constructors (.init_array)");
  if ((header.sh_flags & SHF_TLS) != 0) refuse("it has thread-local storage (" + label + ")");
  if (header.sh_type == SHT_RELA || header.sh_type == SHT_REL) {
    refuse("it has relocations (" + label +
           "): a pointer is stored in static data, make it an offset or a switch");
  }
  static constexpr std::string_view kLoaderSections[] = {".got", ".dynamic", ".dynsym", ".dynstr",
                                                         ".hash"};
  const bool known = is_image_section(name) ||
                     std::ranges::find(kLoaderSections, name) != std::end(kLoaderSections);
  if ((header.sh_flags & SHF_ALLOC) != 0 && !known) refuse("unexpected section " + label);
}

void copy_section(Elf_Scn* section, const GElf_Shdr& header, std::vector<unsigned char>& bytes) {
  if (header.sh_addr > kMaxBytes || header.sh_size > kMaxBytes)
    refuse("a section lies beyond 4 MiB");
  if (bytes.size() < header.sh_addr + header.sh_size) bytes.resize(header.sh_addr + header.sh_size);
  if (header.sh_type == SHT_NOBITS) return;
  const Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr || data->d_size != header.sh_size) refuse("a section can't be read");
  if (data->d_size > 0) std::memcpy(bytes.data() + header.sh_addr, data->d_buf, data->d_size);
}

void read_symbols(Elf* elf, Elf_Scn* section, const GElf_Shdr& header, Blob& blob) {
  Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr || header.sh_entsize == 0) refuse("the symbol table can't be read");
  for (size_t i = 1; i < header.sh_size / header.sh_entsize; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr)
      refuse("a symbol can't be read");
    const char* text = elf_strptr(elf, header.sh_link, symbol.st_name);
    const std::string name = text != nullptr ? text : "";
    if (symbol.st_shndx == SHN_UNDEF && !name.empty()) refuse("undefined symbol " + name);
    if (name == "blob_text_end") blob.text_bytes = symbol.st_value;
    if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC) continue;
    if (name.ends_with("_entry") && !name.starts_with("_Z"))
      blob.entries.emplace_back(name, symbol.st_value);
  }
}

Blob read_blob(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) refuse(std::string("open: ") + std::strerror(errno));
  elf_version(EV_CURRENT);
  Elf* elf = elf_begin(fd, ELF_C_READ, nullptr);
  size_t names = 0;
  if (elf == nullptr || elf_getshdrstrndx(elf, &names) != 0)
    refuse(std::string("not an ELF file: ") + elf_errmsg(-1));
  Blob blob;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) refuse("a section header can't be read");
    const char* name = elf_strptr(elf, names, header.sh_name);
    if (name == nullptr) refuse("a section has no name");
    check_section(name, header);
    if (is_image_section(name)) copy_section(section, header, blob.bytes);
    if (header.sh_type == SHT_SYMTAB) read_symbols(elf, section, header, blob);
  }
  elf_end(elf);
  ::close(fd);
  blob.bytes.resize(std::max(blob.text_bytes, (blob.bytes.size() + kPage - 1) / kPage * kPage));
  return blob;
}

void check_blob(const Blob& blob) {
  if (blob.text_bytes == 0 || blob.text_bytes % kPage != 0)
    refuse("blob_text_end is not a page boundary");
  if (blob.entries.empty())
    refuse("it has no entry point (a C function whose name ends in _entry)");
  for (const auto& [name, offset] : blob.entries) {
    if (offset >= blob.text_bytes) refuse("entry point " + name + " lies outside the code");
  }
}

void write_header(const std::string& blob_name, const Blob& blob, const std::string& path) {
  std::ofstream out(path);
  out << "// Generated by embed_blob.\n#pragma once\n#include <cstdint>\n#include "
         "\"blob/blob_image.h\"\n"
      << "namespace cryostat::" << blob_name << "_blob {\nconst BlobImage& image();\n";
  for (const auto& [name, offset] : blob.entries) {
    out << "inline constexpr uint64_t " << name << " = " << offset << ";\n";
  }
  out << "}\n";
  if (!out.flush()) refuse("can't write " + path);
}

void write_source(const std::string& blob_name, const Blob& blob, const std::string& path) {
  std::ofstream out(path);
  out << "// Generated by embed_blob.\n#include \"blob/" << blob_name << "_blob.h\"\n"
      << "namespace cryostat::" << blob_name << "_blob {\n"
      << "alignas(4096) static constexpr unsigned char kBytes[] = {";
  for (size_t i = 0; i < blob.bytes.size(); ++i) {
    if (i % 32 == 0) out << '\n';
    out << static_cast<unsigned>(blob.bytes[i]) << ',';
  }
  out << "\n};\nconst BlobImage& image() {\n  static constexpr BlobImage kImage{kBytes, "
      << blob.text_bytes << "};\n  return kImage;\n}\n}\n";
  if (!out.flush()) refuse("can't write " + path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: embed_blob NAME FILE.elf OUT\n");
    return 2;
  }
  try {
    const Blob blob = read_blob(argv[2]);
    check_blob(blob);
    write_header(argv[1], blob, std::string(argv[3]) + ".h");
    write_source(argv[1], blob, std::string(argv[3]) + ".cc");
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "embed_blob: %s: %s\n", argv[2], failure.what());
    return 1;
  }
  return 0;
}
