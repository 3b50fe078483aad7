#include "engine/cli/unsupported_options.h"

#include <algorithm>
#include <array>

namespace cryostat::cli {

namespace {
struct Unsupported {
  std::string_view name;
  std::string_view reason;
};

constexpr std::string_view kTcp = "TCP connections can't be checkpointed yet";
constexpr std::string_view kServer = "page servers are not there yet";
constexpr std::string_view kLazy = "lazy restore is not there yet";
constexpr std::string_view kNamespaces = "other namespaces can't be checkpointed yet";
constexpr std::string_view kCgroups = "control groups are left alone for now";

constexpr std::array kTable = std::to_array<Unsupported>({
    {"tcp-established", kTcp},
    {"tcp-close", kTcp},
    {"network-lock", kTcp},
    {"pre-dump-mode", "a pre-dump always reads the running process"},
    {"page-server", kServer},
    {"address", kServer},
    {"port", kServer},
    {"ps-socket", kServer},
    {"tls", kServer},
    {"stream", kServer},
    {"lazy-pages", kLazy},
    {"root", kNamespaces},
    {"r", kNamespaces},
    {"veth-pair", kNamespaces},
    {"ext-mount-map", kNamespaces},
    {"M", kNamespaces},
    {"enable-external-sharing", kNamespaces},
    {"enable-external-masters", kNamespaces},
    {"enable-fs", kNamespaces},
    {"join-ns", kNamespaces},
    {"J", kNamespaces},
    {"empty-ns", kNamespaces},
    {"mntns-compat-mode", kNamespaces},
    {"manage-cgroups", kCgroups},
    {"cgroup-root", kCgroups},
    {"cgroup-props", kCgroups},
    {"cgroup-props-file", kCgroups},
    {"cgroup-dump-controller", kCgroups},
    {"cgroup-yard", kCgroups},
    {"exec-cmd", "the root task can't be replaced after a restore"},
    {"evasive-devices", "devices are opened by the path they had"},
    {"force-irmap", "watched files are found by their handles"},
    {"irmap-scan-path", "watched files are found by their handles"},
    {"lsm-profile", "security labels can't be checkpointed yet"},
    {"lsm-mount-context", "security labels can't be checkpointed yet"},
    {"cpu-cap", "the processor is always compared by name"},
    {"C", "the processor is always compared by name"},
    {"file-validation", "files are always compared by size, build-id or content"},
    {"skip-file-rwx-check", "files are always compared with what was dumped"},
    {"status-fd", "cr-dump and cr-restore have no daemon to report from; use --json"},
    {"unprivileged", "say so by running without privileges: what is missing is named"},
    {"weak-sysctls", kNamespaces},
    {"allow-uprobes", "uprobes can't be checkpointed yet"},
});
}  // namespace

std::string_view why_unsupported(std::string_view name) {
  const auto* found = std::find_if(kTable.begin(), kTable.end(),
                                   [&](const auto& entry) { return entry.name == name; });
  return found == kTable.end() ? std::string_view() : found->reason;
}

}  // namespace cryostat::cli
