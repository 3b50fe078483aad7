#include "engine/memory/file_fingerprint.h"

#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <memory>
#include <string_view>
#include <vector>

#include "proto/mm.pb.h"

namespace cryostat::memory {

namespace {

constexpr size_t kHashBufferBytes = 256 << 10;
constexpr uint64_t kMaxNoteBytes = 64 << 10;  // of one PT_NOTE; real ones are below 1 KiB

// The NT_GNU_BUILD_ID in one PT_NOTE segment, or nothing.
std::string find_build_id(Elf_Data& notes) {
  GElf_Nhdr header;
  size_t name = 0;
  size_t description = 0;
  for (size_t at = 0; (at = gelf_getnote(&notes, at, &header, &name, &description)) > 0;) {
    const auto* bytes = static_cast<const char*>(notes.d_buf);
    const std::string_view owner(bytes + name, header.n_namesz);
    if (header.n_type == NT_GNU_BUILD_ID && owner == std::string_view("GNU\0", 4))
      return std::string(bytes + description, header.n_descsz);
  }
  return {};
}

// Empty when the file is no ELF file or has no build-id.
std::string read_build_id(int fd) {
  elf_version(EV_CURRENT);
  const std::unique_ptr<Elf, int (*)(Elf*)> elf(elf_begin(fd, ELF_C_READ, nullptr), elf_end);
  size_t count = 0;
  if (!elf || elf_kind(elf.get()) != ELF_K_ELF || elf_getphdrnum(elf.get(), &count) != 0) return {};
  for (size_t i = 0; i < count; ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf.get(), static_cast<int>(i), &segment) == nullptr) return {};
    if (segment.p_type != PT_NOTE || segment.p_filesz > kMaxNoteBytes) continue;
    Elf_Data* notes =
        elf_getdata_rawchunk(elf.get(), static_cast<int64_t>(segment.p_offset), segment.p_filesz,
                             segment.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
    if (notes == nullptr) continue;
    if (std::string id = find_build_id(*notes); !id.empty()) return id;
  }
  return {};
}

Result<std::string> hash_content(int fd, const std::string& path) {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::vector<char> buffer(kHashBufferBytes);
  for (off_t offset = 0;;) {
    const ssize_t got = pread(fd, buffer.data(), buffer.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(fmt::format("read {}", path));
    if (got == 0) break;
    XXH3_128bits_update(state.get(), buffer.data(), static_cast<size_t>(got));
    offset += got;
  }
  XXH128_canonical_t sum;
  XXH128_canonicalFromHash(&sum, XXH3_128bits_digest(state.get()));
  return std::string(reinterpret_cast<const char*>(sum.digest), sizeof(sum.digest));
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

}  // namespace

pb::FileFingerprint make_fingerprint(const struct stat& status, std::string path) {
  pb::FileFingerprint print;
  print.set_path(std::move(path));
  print.set_device(status.st_dev);
  print.set_inode(status.st_ino);
  print.set_size_bytes(static_cast<uint64_t>(status.st_size));
  print.set_mode(status.st_mode);
  print.set_mtime_ns(status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec);
  return print;
}

Result<void> fingerprint_content(int fd, pb::FileFingerprint& print) {
  if (!S_ISREG(print.mode())) return {};
  std::string id = read_build_id(fd);
  if (id.empty())
    print.set_content_xxh3_128(TRY(hash_content(fd, print.path())));
  else
    print.set_build_id(std::move(id));
  return {};
}

Result<pb::FileFingerprint> fingerprint_file(int fd, std::string path, ContentCheck check) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return fail_errno(fmt::format("stat {}", path));
  pb::FileFingerprint print = make_fingerprint(status, std::move(path));
  if (check == ContentCheck::kBuildIdOrHash) TRY(fingerprint_content(fd, print));
  return print;
}

std::string fingerprint_difference(const pb::FileFingerprint& dumped,
                                   const pb::FileFingerprint& now) {
  if ((dumped.mode() & S_IFMT) != (now.mode() & S_IFMT))
    return fmt::format("file type was {:06o}, is {:06o}", dumped.mode() & S_IFMT,
                       now.mode() & S_IFMT);
  if (!S_ISREG(dumped.mode())) return {};
  if (dumped.size_bytes() != now.size_bytes())
    return fmt::format("size was {} bytes, is {} bytes", dumped.size_bytes(), now.size_bytes());
  if (!dumped.build_id().empty() && dumped.build_id() != now.build_id())
    return fmt::format("build-id was {}, is {}", hex(dumped.build_id()),
                       now.build_id().empty() ? "missing" : hex(now.build_id()));
  if (!dumped.content_xxh3_128().empty() && dumped.content_xxh3_128() != now.content_xxh3_128())
    return fmt::format("content hash (XXH3-128) was {}, is {}", hex(dumped.content_xxh3_128()),
                       now.content_xxh3_128().empty() ? "missing" : hex(now.content_xxh3_128()));
  return {};
}

}  // namespace cryostat::memory
