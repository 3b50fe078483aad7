// cr-dump: saves a running process to a folder.
#include "engine/cli/dump_tool.h"

using namespace cryostat;

int main(int argc, char** argv) {
  return cli::dump_main({"cr-dump", "dumping", cli::parse_dump, cli::dump_help, dump::run}, argc,
                        argv);
}
