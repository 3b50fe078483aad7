// One process of a random tree: takes its steps of the history and describes itself.
#pragma once

#include <string>

#include "tests/generators/random_tree/areas.h"
#include "tests/generators/random_tree/board.h"
#include "tests/generators/random_tree/history.h"
#include "tests/generators/random_tree/signals.h"
#include "tests/generators/random_tree/threads.h"

namespace random_tree {

// Copied by fork(2) with all it has: a child begins as its parent was.
class Member {
 public:
  Member(std::string folder, Board& board, const History& history);

  // Serves requests for ever.
  [[noreturn]] void serve();
  void handle(Request request, uint64_t argument);

 private:
  void take(const Step& step);
  void take_process_step(const Step& step, Random& random);
  void take_object_step(const Step& step, Random& random);
  void give_birth(const Step& step, Random& random);
  void become(uint32_t member, Random& random);
  void send_descriptor(Random& random);
  void receive_descriptor(Random& random);
  void look();
  void drain();
  void write_down(const std::string& text) const;

  std::string folder_;
  Board& board_;
  const History& history_;
  uint32_t number_ = 0;
  Waiting waiting_ = Waiting::kFutex;
  Areas areas_;
  Timers timers_;
  Threads threads_;
};

}  // namespace random_tree
