#include "engine/dump/manifest.h"

#include "engine/arch/x86_64/cpu.h"
#include "engine/base/version.h"
#include "proto/task.pb.h"

namespace cryostat::dump {

pb::Manifest make_manifest(std::span<const pb::Task* const> tasks, const Options& options) {
  pb::Manifest manifest;
  manifest.set_tool_version(std::string(kVersion));
  manifest.set_root_pid(tasks.front()->pid());
  for (const pb::Task* task : tasks) manifest.add_pids(task->pid());
  manifest.set_shell_job(options.shell_job);

  const arch::Cpu cpu = arch::this_cpu();
  auto& image = *manifest.mutable_cpu();
  image.set_architecture(std::string(arch::kArchitecture));
  image.set_xcr0(cpu.xcr0);
  image.set_xstate_size_bytes(cpu.xstate_size_bytes);
  image.set_model_name(cpu.model_name);
  for (const auto& component : cpu.xstate_layout) {
    auto& place = *image.add_xstate_layout();
    place.set_number(component.number);
    place.set_offset_bytes(component.offset_bytes);
    place.set_size_bytes(component.size_bytes);
  }
  for (const auto& feature : cpu.features) image.add_features(feature);
  return manifest;
}

}  // namespace cryostat::dump
