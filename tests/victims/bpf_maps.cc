// BPF maps: a hash and an array with what is in them, a frozen one, one that is open for reading
// only.
#include <linux/bpf.h>
#include <sys/syscall.h>

#include "tests/victims/victim.h"

namespace {

long call(int command, bpf_attr attributes) {
  return syscall(SYS_bpf, command, &attributes, sizeof(attributes));
}

bpf_attr nothing() {
  bpf_attr attributes;
  memset(&attributes, 0, sizeof(attributes));
  return attributes;
}

int create(unsigned type, unsigned key_bytes, unsigned entries, const char* name) {
  auto attributes = nothing();
  attributes.map_type = type;
  attributes.key_size = key_bytes;
  attributes.value_size = 8;
  attributes.max_entries = entries;
  strncpy(attributes.map_name, name, sizeof(attributes.map_name) - 1);
  return static_cast<int>(call(BPF_MAP_CREATE, attributes));
}

template <typename Key>
long element(int command, int map, const Key& key, uint64_t* value) {
  auto attributes = nothing();
  attributes.map_fd = static_cast<unsigned>(map);
  attributes.key = reinterpret_cast<uintptr_t>(&key);
  attributes.value = reinterpret_cast<uintptr_t>(value);
  return call(command, attributes);
}

template <typename Key>
uint64_t at(int map, const Key& key) {
  uint64_t value = 0;
  return element(BPF_MAP_LOOKUP_ELEM, map, key, &value) == 0 ? value : ~0ul;
}

template <typename Key>
bool put(int map, const Key& key, uint64_t value) {
  return element(BPF_MAP_UPDATE_ELEM, map, key, &value) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const int hash = create(BPF_MAP_TYPE_HASH, 8, 100, "cryo_hash");
  if (hash < 0 && (errno == EPERM || errno == ENOSYS)) self.skip("bpf(2) is not allowed here");
  const int array = create(BPF_MAP_TYPE_ARRAY, 4, 16, "cryo_array");
  self.must(hash >= 0 && array >= 0, "BPF_MAP_CREATE");
  for (uint64_t i = 0; i < 50; ++i) self.must(put(hash, i * 7, i * i), "hash element");
  self.must(put(array, 3u, 33) && put(array, 15u, 155), "array element");
  auto freeze = nothing();
  freeze.map_fd = static_cast<unsigned>(array);
  self.must(call(BPF_MAP_FREEZE, freeze) == 0, "BPF_MAP_FREEZE");

  self.ready_and_wait();

  for (uint64_t i = 0; i < 50; ++i)
    self.expect_equal("hash element", static_cast<long long>(i * i),
                      static_cast<long long>(at(hash, i * 7)));
  self.expect(at(hash, uint64_t{1}) == ~0ul, "the hash has more than it had");
  self.expect(put(hash, uint64_t{1000}, 5) && at(hash, uint64_t{1000}) == 5, "hash goes on");
  self.expect(at(array, 3u) == 33 && at(array, 15u) == 155 && at(array, 0u) == 0, "array");
  self.expect(!put(array, 3u, 1) && errno == EPERM, "the array is no longer frozen");
  return self.finish();
}
