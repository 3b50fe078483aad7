// A POSIX message queue: opened again by name, with the messages it has.
#include <mqueue.h>

#include "tests/victims/victim.h"

int main(int argc, char** argv) {
  victim::Victim self(argc, argv);
  const std::string name = "/cryostat-victim-" + std::to_string(getpid());
  mq_attr attributes = {};
  attributes.mq_maxmsg = 5;
  attributes.mq_msgsize = 64;
  mq_unlink(name.c_str());
  const mqd_t queue =
      mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attributes);
  if (queue < 0 && errno == ENOSYS) self.skip("this kernel has no POSIX message queues");
  self.must(queue >= 0 && mq_send(queue, "low", 3, 1) == 0 && mq_send(queue, "high", 4, 9) == 0,
            "message queue");

  self.ready_and_wait();

  char text[64];
  unsigned priority = 0;
  self.expect(mq_getattr(queue, &attributes) == 0 && attributes.mq_flags == O_NONBLOCK &&
                  attributes.mq_curmsgs == 2,
              "attributes");
  self.expect(mq_receive(queue, text, sizeof(text), &priority) == 4 && priority == 9, "first");
  // Put back for the next restore.
  self.expect(mq_send(queue, "high", 4, 9) == 0, "send");
  return self.finish();
}
