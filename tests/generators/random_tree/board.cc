#include "tests/generators/random_tree/board.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace random_tree {
namespace {

constexpr int kPatienceMs = 10'000;

void sleep_us(long microseconds) {
  const timespec pause{0, microseconds * 1000};
  nanosleep(&pause, nullptr);
}

void futex_wait(std::atomic<uint32_t>& word, uint32_t value) {
  syscall(SYS_futex, &word, FUTEX_WAIT, value, nullptr, nullptr, 0);
}

void futex_wake(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

template <typename Condition>
bool within_patience(Condition condition) {
  for (long waited_us = 0; !condition(); waited_us += 200) {
    if (waited_us > kPatienceMs * 1000L) return false;
    sleep_us(200);
  }
  return true;
}

}  // namespace

Board* Board::create() {
  void* const memory =
      mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    perror("mmap the board");
    exit(2);
  }
  return static_cast<Board*>(memory);
}

Request Board::wait_turn(uint32_t member, Waiting waiting, uint64_t& argument) {
  Slot& slot = slots_[member];
  for (uint32_t turn; (turn = slot.turn) % 2 == 0;) {
    if (waiting == Waiting::kFutex) futex_wait(slot.turn, turn);
    if (waiting == Waiting::kSleep) sleep_us(3000);
    if (waiting == Waiting::kPoll) poll(nullptr, 0, 3);
  }
  argument = slot.argument;
  return slot.request;
}

void Board::answer(uint32_t member) { ++slots_[member].turn; }

void Board::tell(uint32_t member, Request request, uint64_t argument) {
  Slot& slot = slots_[member];
  slot.request = request;
  slot.argument = argument;
  ++slot.turn;
  futex_wake(slot.turn);
}

bool Board::ask(uint32_t member, Request request, uint64_t argument) {
  tell(member, request, argument);
  return within_patience([&] { return slots_[member].turn % 2 == 0; });
}

bool Board::wait_pid(uint32_t member) const {
  return within_patience([&] { return slots_[member].pid != 0; });
}

}  // namespace random_tree
