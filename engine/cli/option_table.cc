#include "engine/cli/option_table.h"

#include <boost/program_options/value_semantic.hpp>
#include <string>
#include <vector>

namespace cryostat::cli {

namespace po = boost::program_options;

namespace {
constexpr unsigned kLineLength = 100;
constexpr unsigned kDescriptionLength = 60;

// A string option whose argument is called `name` in the help text.
po::typed_value<std::string>* text(const char* name) {
  return po::value<std::string>()->value_name(name);
}

// The same for an option that may be given several times.
po::typed_value<std::vector<std::string>>* texts(const char* name) {
  return po::value<std::vector<std::string>>()->composing()->value_name(name);
}
}  // namespace

po::options_description shared_table() {
  po::options_description table("Shared options", kLineLength, kDescriptionLength);
  // -v, -vvv, -v3, repeated or not: the parser sums them up.
  auto* verbosity = po::value<std::vector<std::string>>()->value_name("N")->implicit_value(
      std::vector<std::string>{""}, "");
  table.add_options()                                                                             //
      ("images-dir,D", text("DIR"), "folder of the checkpoint (default: .)")                      //
      ("work-dir,W", text("DIR"), "folder for the log and the pidfile (default: DIR of -D)")      //
      ("log-file,o", text("FILE"), "log to FILE in the work dir; - is stdout (default: stderr)")  //
      ("verbosity,v", verbosity, "log more: -v, -vv, -vvv, or a level 0 to 4 (default: 1)")       //
      ("shell-job,j", po::bool_switch(), "the job belongs to a shell's session and terminal")     //
      ("config", text("FILE"), "read options from FILE too")                                      //
      ("no-default-config", po::bool_switch(),
       "do not read /etc/cryostat.conf and ~/.config/cryostat.conf")                       //
      ("timeout", text("SECONDS"), "how long reaching the freeze may take (default: 10)")  //
      ("action-script", texts("FILE"),
       "run FILE at named moments; a status other than 0 undoes everything; may be repeated")  //
      ("json", po::bool_switch(), "print the result as one JSON object on stdout")             //
      ("trace", text("FILE"), "write the spans of this run as Chrome/Perfetto trace JSON")     //
      ("display-stats", po::bool_switch(), "print statistics when done")                       //
      ("version,V", po::bool_switch(), "print the version")                                    //
      ("help,h", po::bool_switch(), "print this text");
  return table;
}

po::options_description dump_table() {
  po::options_description table("Options of cr-dump", kLineLength, kDescriptionLength);
  table.add_options()                                                                             //
      ("tree,t", text("PID"), "the process to dump")                                              //
      ("leave-running,R", po::bool_switch(), "let the process run on afterwards")                 //
      ("leave-stopped,s", po::bool_switch(), "leave the process stopped afterwards")              //
      ("transfer", text("HOW"), "who moves the pages: auto, parasite, vm-readv (default: auto)")  //
      ("snapshot", text("HOW"),
       "stop: frozen while pages are written; cow: they are copied inside the kernel and written "
       "while the process runs on (with -R); auto (default: auto)")  //
      ("vma-flags", text("HOW"),
       "where flags of mappings are read: smaps; bpf: from the kernel itself, which takes no time "
       "in "
       "large processes; auto (default: auto)")  //
      ("compress", text("HOW"),
       "compress page data: none, lz4, zstd, zstd:LEVEL (default: none)")      //
      ("dedup-pages", po::bool_switch(), "store pages that are alike once")    //
      ("direct-io", po::bool_switch(), "write page data past the page cache")  //
      ("bandwidth", text("SIZE"),
       "bytes a second to write at most while the process runs on (default: no limit)")  //
      ("prev-images-dir", text("DIR"),
       "write only what changed since the checkpoint in DIR, relative to the one of -D")  //
      ("track-mem", po::bool_switch(),
       "track writes from now on, for the next --prev-images-dir")  //
      ("tracker", text("HOW"),
       "how changes are found: auto, uffd-wp, soft-dirty, hash, none (default: auto)")         //
      ("auto-dedup", po::bool_switch(), "then free what older checkpoints have in vain")       //
      ("tracker-verify", po::bool_switch(), "compare what the tracker says with the content")  //
      ("freeze-cgroup", text("DIR"),
       "freeze the control group with this folder until every task is seized")        //
      ("dry-run", po::bool_switch(), "report what would be refused; change nothing")  //
      ("external", texts("KIND[ID]:KEY"),
       "what lies outside and is handed in at the restore: file[MNT_ID:INODE], tty[RDEV:DEV], "
       "pipe[INODE], unix[INODE]; may be repeated")  //
      ("skip-in-flight", po::bool_switch(),
       "leave out TCP connections that were not accepted yet: they are reset")  //
      ("link-remap", po::bool_switch(),
       "link files deleted under their name but linked elsewhere beside it")  //
      ("ghost-limit", text("SIZE"),
       "largest deleted-but-open file to save, in bytes or with K, M, G (default: 1M)");
  return table;
}

po::options_description restore_table() {
  po::options_description table("Options of cr-restore", kLineLength, kDescriptionLength);
  table.add_options()                                                            //
      ("restore-detached,d", po::bool_switch(), "return once the process runs")  //
      ("restore-sibling,S", po::bool_switch(),
       "with -d: make the process a child of the caller, not of init")                            //
      ("pidfile", text("FILE"), "write the pid of the restored process to FILE in the work dir")  //
      ("leave-stopped,s", po::bool_switch(), "leave the process stopped afterwards")              //
      ("dry-run", po::bool_switch(),
       "verify images and machine, print what is missing, create nothing")  //
      ("inherit-fd", texts("fd[N]:KEY"),
       "descriptor N of the caller for what was named with --external; may be repeated")  //
      ("restore-threads", text("N"), "readers that fill memory: a number or auto (default: auto)");
  return table;
}

po::options_description compatible_table() {
  po::options_description table("Compatible");
  table.add_options()("file-locks,l", po::bool_switch(), "cr-dump: save locks on files too")(
      "ext-unix-sk,x", po::bool_switch(),
      "cr-dump: datagram UNIX sockets may be connected to others outside");
  return table;
}

po::options_description restore_hidden_table() {
  po::options_description table("Hidden");
  table.add_options()("vdso", text("HOW"), "auto, move, retarget");
  return table;
}

}  // namespace cryostat::cli
