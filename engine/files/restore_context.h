// What descriptor kinds share while one task's descriptors are restored, or checked before.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/files/brief_process.h"
#include "engine/files/name_binder.h"
#include "engine/files/restore.h"
#include "engine/image/files_image.h"

namespace cryostat::files {

// Both ends of a pipe that is being restored. Descriptions get descriptors opened from these;
// they are closed when every description is there, so that only the target's ends remain.
struct PipeEnds {
  UniqueFd read_end;   // for a FIFO: open for both
  UniqueFd write_end;  // invalid for a FIFO
};

// Both ends of a socket pair, kept like those of a pipe.
struct SocketEnds {
  uint32_t first_id = 0;  // the description `first` is of
  UniqueFd first;
  UniqueFd second;
  bool completed = false;  // no longer needed when both descriptions are open
};

// A pseudoterminal that is being restored.
struct PtyEnds {
  UniqueFd master;  // the description of the master itself
  UniqueFd slave;   // our own; invalid when nobody ever opened it
};

class RestoreContext {
 public:
  RestoreContext(const image::FilesImage& image, const RestoreInputs& inputs,
                 const std::vector<int>& target_numbers)
      : image_(image),
        inputs_(inputs),
        target_numbers_(target_numbers.begin(), target_numbers.end()) {}

  const image::FilesImage& image() const { return image_; }
  const RestoreInputs& inputs() const { return inputs_; }

  // Binds the UNIX sockets of this task.
  NameBinder& names();

  // Moves a descriptor that is needed for longer than one kind's call to a number the target
  // doesn't use.
  Result<UniqueFd> keep(UniqueFd fd);

  // Keeps a description of the image open until release_held(): at `home`, the first number it will
  // have, which costs none; if that is -1, at a number the target doesn't use. Returns the number.
  Result<int> hold(uint32_t description_id, UniqueFd fd, int home);
  UniqueFd release_held(uint32_t description_id);
  void release_all_held() { held_.clear(); }
  // Closes what descriptions of one object were opened from; after the last one of the object.
  void release_objects();
  // While it is held: the number of a description; else `otherwise`.
  int number_of(uint32_t description_id, int otherwise) const;

  std::map<uint32_t, PipeEnds> pipes;                // by pipe_id
  std::map<uint32_t, SocketEnds> socket_pairs;       // by pair_id
  std::map<uint32_t, UniqueFd> unix_sockets;         // made with another one; by description
  bool datagrams_done = false;                       // all datagram sockets are complete
  std::map<uint32_t, UniqueFd> bpf_maps;             // by map_id
  std::map<uint32_t, UniqueFd> ghosts;               // by ghost_id; open read-write
  std::map<uint32_t, UniqueFd> deleted_directories;  // by deleted_id
  std::map<uint32_t, PtyEnds> ptys;                  // by pty_id
  std::map<uint32_t, BriefProcess> gone_processes;   // by gone_id

 private:
  const image::FilesImage& image_;
  const RestoreInputs& inputs_;
  std::unordered_set<int> target_numbers_;
  std::map<uint32_t, UniqueFd> held_;  // by description id
  std::unique_ptr<NameBinder>
      names_;  // made when it is needed; the context stays in its place then
};

// The plan's counterpart.
class CheckContext {
 public:
  CheckContext(const image::FilesImage& image, const CheckOptions& options)
      : image_(image), options_(options) {}

  const image::FilesImage& image() const { return image_; }
  const CheckOptions& options() const { return options_; }
  // True the first time a requirement is named: several descriptors of one file ask for it once.
  bool first_time(const std::string& requirement) { return named_.insert(requirement).second; }

 private:
  const image::FilesImage& image_;
  const CheckOptions& options_;
  std::unordered_set<std::string> named_;
};

// While it lives `number` names what `fd` is; then what it named before (nothing, if so).
class BorrowedNumber {
 public:
  static Result<BorrowedNumber> take(int fd, int number);
  BorrowedNumber(BorrowedNumber&& other) noexcept
      : number_(std::exchange(other.number_, -1)), before_(std::move(other.before_)) {}
  BorrowedNumber& operator=(BorrowedNumber&&) = delete;
  ~BorrowedNumber();

 private:
  BorrowedNumber(int number, UniqueFd before) : number_(number), before_(std::move(before)) {}
  int number_;  // -1: nothing to give back
  UniqueFd before_;
};

// A new open description of the object behind `fd`: open(2) of its /proc/self/fd entry with `flags`
// (O_CLOEXEC is added). Works for files without a name.
Result<UniqueFd> reopen(int fd, uint32_t flags);

// The flags of `status` that open(2) takes; the rest is set later with F_SETFL.
uint32_t open_flags(uint32_t status);

}  // namespace cryostat::files
