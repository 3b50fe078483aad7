// A tree of processes whose history follows from a seed: random_tree FOLDER SEED.
//
// When the history is over it says ready (victim.h) and obeys what is written into FOLDER/command:
// "look", "poke" or "drain" (board.h). Each member in turn writes its lines into FOLDER/report,
// which becomes FOLDER/answer when all have. random_tree --history SEED prints the steps.
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <iostream>

#include "tests/generators/random_tree/member.h"
#include "tests/victims/victim.h"

namespace random_tree {
namespace {

class Root {
 public:
  Root(victim::Victim& self, const std::string& folder, Board& board, const History& history)
      : self_(self),
        folder_(folder),
        board_(board),
        history_(history),
        member_(folder, board, history) {}

  void play() {
    for (size_t i = 0; i < history_.steps.size(); ++i) {
      const Step& step = history_.steps[i];
      if (step.action == Action::kStop)
        stop(step.member);
      else
        ask(step.member, Request::kStep, i);
    }
  }

  // Sockets that are in flight in their own queue only are nobody's: the kernel looks for them when
  // a socket is closed, and their peers see an end then.
  static void collect_garbage() {
    close(socket(AF_UNIX, SOCK_DGRAM, 0));
    victim::Victim::pause_ms(5);
  }

  // Until somebody ends the process.
  [[noreturn]] void obey() {
    for (;;) {
      const std::string command = next_command();
      begin_report();
      for (uint32_t member = 0; member < history_.members; ++member) {
        const bool stopped = state(member) == 'T';
        if (state(member) == 'Z' || (stopped && command != "drain")) continue;
        if (stopped) kill(board_.pid(member), SIGCONT);
        ask(member,
            command == "look"   ? Request::kLook
            : command == "poke" ? Request::kPoke
                                : Request::kDrain,
            0);
      }
      rename(path("report").c_str(), path("answer").c_str());
    }
  }

 private:
  std::string path(const char* name) const { return folder_ + "/" + name; }

  // As in proc_pid_stat(5); Z for one that is gone, too.
  char state(uint32_t member) const {
    std::ifstream file("/proc/" + std::to_string(board_.pid(member)) + "/stat");
    std::string text;
    std::getline(file, text);
    const size_t end = text.rfind(')');
    return board_.pid(member) == 0 || end == std::string::npos ? 'Z' : text[end + 2];
  }

  void ask(uint32_t member, Request request, uint64_t argument) {
    if (member == 0) return member_.handle(request, argument);
    const bool ends = request == Request::kStep && history_.steps[argument].action == Action::kEnd;
    if (ends) {
      board_.tell(member, request, argument);
      while (state(member) != 'Z') victim::Victim::pause_ms(1);
    } else if (!board_.ask(member, request, argument)) {
      std::ofstream(path("report"), std::ios::app)
          << "member " << member << " does not answer, state " << state(member) << "\n";
      if (request == Request::kStep) self_.must(false, describe(history_.steps[argument]).c_str());
    }
  }

  void stop(uint32_t member) {
    kill(board_.pid(member), SIGSTOP);
    while (state(member) != 'T') victim::Victim::pause_ms(1);
  }

  std::string next_command() const {
    for (;; victim::Victim::pause_ms(2)) {
      std::ifstream file(path("command"));
      std::string command;
      if (!file || !std::getline(file, command)) continue;
      unlink(path("command").c_str());
      return command;
    }
  }

  void begin_report() const {
    std::ofstream{path("report")};
    chmod(path("report").c_str(), 0666);
  }

  victim::Victim& self_;
  std::string folder_;
  Board& board_;
  const History& history_;
  Member member_;
};

int run(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "--history") == 0) {
    for (const Step& step : make_history(strtoull(argv[2], nullptr, 10)).steps)
      std::cout << describe(step) << "\n";
    return 0;
  }
  victim::Victim self(argc, argv);
  if (argc < 3) return 2;
  const History history = make_history(strtoull(argv[2], nullptr, 10));
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGPIPE, SIG_IGN);
  Root root(self, argv[1], *Board::create(), history);
  root.play();
  Root::collect_garbage();
  self.ready();
  root.obey();
}

}  // namespace
}  // namespace random_tree

int main(int argc, char** argv) { return random_tree::run(argc, argv); }
