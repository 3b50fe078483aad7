#include "engine/procfs/watch_info.h"

#include "tests/support/catch.h"

namespace cryostat::procfs {
namespace {

TEST_CASE("inotify lines are understood") {
  const auto watch = parse_inotify_line(
                         "inotify wd:1a ino:9e7e sdev:800013 mask:84000fff ignored_mask:0 "
                         "fhandle-bytes:8 fhandle-type:1 f_handle:7e9e0000640d1b6d")
                         .value();
  CHECK(watch.wd == 26);
  CHECK(watch.mask == 0x84000fff);
  CHECK(watch.inode.inode == 0x9e7e);
  CHECK(watch.inode.device == 0x800013);
  CHECK(watch.inode.handle_type == 1);
  CHECK(watch.inode.handle == std::string("\x7e\x9e\0\0\x64\x0d\x1b\x6d", 8));
  const auto plain = parse_inotify_line("inotify wd:1 ino:2 sdev:3 mask:2 ignored_mask:0").value();
  CHECK(plain.inode.handle_type == -1);
}

TEST_CASE("fanotify lines are understood") {
  using Sort = FanotifyLine::Sort;
  const auto group = parse_fanotify_line("fanotify flags:10 event-flags:8000").value();
  CHECK(group.sort == Sort::kGroup);
  CHECK(group.init_flags == 0x10);
  CHECK(group.event_flags == 0x8000);
  const auto mount =
      parse_fanotify_line("fanotify mnt_id:1b mflags:40 mask:38 ignored_mask:40000000").value();
  CHECK(mount.sort == Sort::kMount);
  CHECK(mount.mount_id == 27);
  CHECK(mount.mark_flags == 0x40);
  CHECK(mount.mask == 0x38);
  CHECK(mount.ignored_mask == 0x40000000);
  const auto inode = parse_fanotify_line(
      "fanotify ino:4f sdev:13 mflags:0 mask:3b ignored_mask:0 fhandle-bytes:2 fhandle-type:81 "
      "f_handle:69f9");
  CHECK(inode->sort == Sort::kInode);
  CHECK(inode->inode.handle_type == 0x81);
  CHECK(parse_fanotify_line("fanotify sdev:13 mflags:0 mask:3b ignored_mask:0")->sort ==
        Sort::kFileSystem);
}

TEST_CASE("malformed watch lines are errors") {
  for (const auto* line : {"", "inotify", "inotify wd:0 mask:1", "inotify wd:1 mask:",
                           "inotify wd:x mask:1", "inotify wd:1 mask:1 f_handle:123",
                           "inotify wd:1 mask:1 f_handle:zz", "fanotify wd:1 mask:1"})
    CHECK_FALSE(parse_inotify_line(line).has_value());
  const auto long_handle = "inotify wd:1 mask:1 f_handle:" + std::string(258, '0');
  CHECK_FALSE(parse_inotify_line(long_handle).has_value());
  for (const auto* line :
       {"", "fanotify", "fanotify mask:1", "fanotify flags:g", "inotify flags:1"})
    CHECK_FALSE(parse_fanotify_line(line).has_value());
}

}  // namespace
}  // namespace cryostat::procfs
