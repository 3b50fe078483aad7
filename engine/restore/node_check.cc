#include "engine/restore/node_check.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "engine/procfs/status.h"
#include "engine/procfs/task_handle.h"
#include "proto/wire/memory_policy.h"

namespace cryostat::restore {

namespace {

// Under these flags the kernel keeps the nodes as given and uses what is there of them (mbind(2)).
constexpr uint32_t kStaticNodes = 1u << 15;
constexpr uint32_t kRelativeNodes = 1u << 14;

using Nodes = std::vector<bool>;

bool has_bit(const std::string& mask, size_t bit) {
  return bit / 8 < mask.size() && (static_cast<unsigned char>(mask[bit / 8]) >> bit % 8 & 1) != 0;
}

class NodeCheck {
 public:
  NodeCheck(const Nodes& allowed, PlanReport& report) : allowed_(allowed), report_(report) {}

  void add(const pb::MemoryPolicy& policy, const std::string& whose) {
    if (policy.mode() == 0) return;
    found_ = true;
    const size_t bits = policy.nodes().size() * 8;
    if (bits > wire::kMaxNodes) return missing(whose, bits - 1);
    size_t named = 0;
    size_t usable = 0;
    size_t absent = 0;
    for (size_t node = 0; node < bits; ++node) {
      if (!has_bit(policy.nodes(), node)) continue;
      ++named;
      if (node < allowed_.size() && allowed_[node])
        ++usable;
      else
        absent = node;
    }
    if (usable == named || (policy.mode() & kRelativeNodes) != 0) return;
    if ((policy.mode() & kStaticNodes) == 0 || usable == 0) missing(whose, absent);
  }

  bool found() const { return found_; }
  bool told() const { return told_; }

 private:
  void missing(const std::string& whose, size_t node) {
    if (told_) return;  // the first stands for all
    told_ = true;
    report_.missing(fmt::format("NUMA node {}", node),
                    fmt::format("the memory policy of {} names it, and there is no such node here, "
                                "or it may not be used",
                                whose),
                    "restore on a machine, or in a cpuset, with that node");
  }

  const Nodes& allowed_;
  PlanReport& report_;
  bool found_ = false;
  bool told_ = false;
};

Result<Nodes> allowed_nodes() {
  const ProcDir self = TRY(ProcDir::open("/proc/self"));
  return TRY(procfs::parse_status(TRY(self.read("status")))).allowed_nodes;
}

}  // namespace

void check_nodes(const image::CheckpointImages& images, PlanReport& report) {
  const auto allowed = allowed_nodes();
  if (!allowed) return report.missing("NUMA nodes", allowed.error());
  NodeCheck check(*allowed, report);
  for (const auto& task : images.tasks.tasks)
    for (const auto& thread : task.threads)
      check.add(thread.memory_policy(), fmt::format("thread {}", thread.tid()));
  for (const auto& space : images.mm.spaces)
    for (const auto& vma : space.vmas)
      check.add(vma.memory_policy(), fmt::format("memory at {:x}", vma.start()));
  if (!check.found() || check.told()) return;
  int mode = 0;
  if (syscall(SYS_get_mempolicy, &mode, nullptr, 0, nullptr, 0) != 0)
    return report.missing("kernel feature NUMA policies",
                          Error::from_errno(errno, "get_mempolicy").as(ErrorKind::kMachine));
  report.ok("NUMA policies", "all nodes are there");
}

}  // namespace cryostat::restore
