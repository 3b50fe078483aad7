#include "engine/memory/mm_layout.h"

#include "engine/procfs/auxv.h"
#include "engine/procfs/stat.h"
#include "engine/procfs/task_handle.h"
#include "proto/mm.pb.h"

namespace cryostat::memory {

Result<pb::MmLayout> read_mm_layout(const TaskHandle& task, RemoteAddr current_brk) {
  const auto stat = TRY(procfs::parse_stat(TRY(task.proc().read("stat"))));
  std::string auxv = TRY(task.proc().read("auxv"));
  TRY(procfs::parse_auxv(auxv));
  pb::MmLayout layout;
  layout.set_start_code(stat.start_code);
  layout.set_end_code(stat.end_code);
  layout.set_start_data(stat.start_data);
  layout.set_end_data(stat.end_data);
  layout.set_start_brk(stat.start_brk);
  layout.set_brk(current_brk.value);
  layout.set_start_stack(stat.start_stack);
  layout.set_arg_start(stat.arg_start);
  layout.set_arg_end(stat.arg_end);
  layout.set_env_start(stat.env_start);
  layout.set_env_end(stat.env_end);
  layout.set_auxv(std::move(auxv));
  return layout;
}

}  // namespace cryostat::memory
