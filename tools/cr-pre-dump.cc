// cr-pre-dump: saves the memory of a process that runs on, so that a later dump is short.
#include "engine/cli/dump_tool.h"
#include "engine/dump/pre_dump.h"

using namespace cryostat;

int main(int argc, char** argv) {
  return cli::dump_main(
      {"cr-pre-dump", "pre-dumping", cli::parse_pre_dump, cli::pre_dump_help, dump::pre_dump}, argc,
      argv);
}
