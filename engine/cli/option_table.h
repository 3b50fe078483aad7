// The option tables: which options there are, one table shared by cr-dump and cr-restore and one
// for each of them. Only the parser includes this (Boost.Program_options is heavy).
#pragma once

#include <boost/program_options/options_description.hpp>

namespace cryostat::cli {

// -D -W -o -v -j --config --no-default-config --timeout --json --trace --display-stats -V -h
boost::program_options::options_description shared_table();
// -t -R -s --transfer --prev-images-dir --track-mem --tracker --tracker-verify --dry-run
// --ghost-limit
boost::program_options::options_description dump_table();
// -d -S --pidfile -s --dry-run --restore-threads
boost::program_options::options_description restore_table();
// -l/--file-locks: of cr-dump; accepted by cr-restore as well, which needs no permission.
boost::program_options::options_description compatible_table();
// --vdso: accepted, not shown by --help; for measurements and tests.
boost::program_options::options_description restore_hidden_table();

}  // namespace cryostat::cli
