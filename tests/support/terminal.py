"""A terminal of the test's own: a pty with an interactive shell in it, driven as a person would."""
import os
import pty
import re
import select
import signal
import time

from harness import Failed, WAIT_SECONDS

PROMPT = "ready> "


class Terminal:
    """An interactive bash on a new pty; its session leader is a child of the test."""

    def __init__(self, folder):
        self.text = ""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ.update(PS1=PROMPT, TERM="dumb", HISTFILE="/dev/null", INPUTRC="/dev/null")
            os.closerange(3, 4096)
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        self.expect(re.escape(PROMPT))
        self.line("bind 'set enable-bracketed-paste off'; stty -echo")
        self.expect(re.escape(PROMPT))

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(self.master)
        os.waitpid(self.pid, 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def type(self, characters):
        os.write(self.master, characters.encode())

    def line(self, text):
        self.type(text + "\n")

    def expect(self, pattern, seconds=WAIT_SECONDS):
        """Waits until `pattern` appears in what is not consumed yet, consumes up to its end and returns
        the match."""
        deadline = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.text)
            if match:
                self.text = self.text[match.end():]
                return match
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise Failed(f"{pattern!r} did not appear; the terminal shows:\n{self.text}")
            try:
                self.text += os.read(self.master, 65536).decode(errors="replace").replace("\r\n", "\n")
            except OSError as error:
                raise Failed(f"the terminal closed ({error}); it showed:\n{self.text}") from error

    def command(self, text):
        """Runs a command to its end; returns its output and status."""
        self.line(f"{text}; echo \"<<status $?>>\"")
        before = self.expect(r"(?s)(.*?)<<status (\d+)>>")
        self.expect(re.escape(PROMPT))
        return before.group(1), int(before.group(2))
