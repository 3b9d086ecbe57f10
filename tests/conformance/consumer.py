"""The consumer under test, as a process.

Environment: WAGGLE_TEST_CONSUMER is an executable of consumers/, and
WAGGLE_TEST_CONSUMER_DIRECTORY where it built its consumer.
"""

import array
import fcntl
import json
import os
import resource
import subprocess
import termios

import harness
from google.protobuf import json_format
from harness import ev

COMMAND = os.environ["WAGGLE_TEST_CONSUMER"]
DIRECTORY = os.environ["WAGGLE_TEST_CONSUMER_DIRECTORY"]


def was_built():
    """See build."""
    return os.path.exists(DIRECTORY + ".built")


class Consumer(harness.Program):
    """Flags are as in examples/README.md."""

    def __init__(self, *flags, paused=False):
        super().__init__("run", DIRECTORY, *flags, command=(COMMAND,),
                         env={"no_proxy": "127.0.0.1"}, paused=paused)

    def wait_until_blocked(self):
        """Waits until it cannot write any more to standard output, which nobody
        reads."""
        pipe = self.process.stdout
        size = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)

        def full():
            count = array.array("i", [0])
            fcntl.ioctl(pipe, termios.FIONREAD, count)
            # A page of it may be used in part.
            return count[0] > size - 2 * resource.getpagesize()

        harness.wait_until(full, "standard output to be full; standard error:\n"
                           + self.err.text())

    def wait_for_output(self, predicate, what, timeout=harness.PATIENCE):
        """Waits until predicate(lines of standard output) holds."""
        try:
            return self.out.wait_for(predicate, what, timeout)
        except AssertionError:
            raise AssertionError(
                f"no {what} in {len(self.out.all())} lines; exit code "
                f"{self.process.poll()}; standard error:\n"
                f"{self.err.text()[-4000:]}") from None

    def wait_for_events(self, count, timeout=harness.PATIENCE):
        self.wait_for_output(lambda lines: len(lines) >= count,
                             f"event {count}", timeout)

    def wait_for_sequence(self, sequence):
        self.wait_for_output(
            lambda lines: lines and sequence_of(lines[-1]) >= sequence,
            f"sequence {sequence}")

    def wait_for_exit(self, code):
        """Waits for its end, by itself or by a signal that was sent."""
        try:
            found = self.wait()
        except subprocess.TimeoutExpired:
            found = "none"
        if found != code:
            raise AssertionError(f"exit code {found} instead of {code}; "
                                 f"standard error:\n{self.err.text()[-4000:]}")

    def sequences(self):
        """Of the events that were printed as a whole."""
        lines = self.out.all()
        if self.process.poll() is not None and self.process.returncode < 0:
            lines = without_torn_end(lines)
        return [sequence_of(line) for line in lines]

    def events(self):
        """What was printed, as messages; fails for what is not an Event."""
        return [json_format.Parse(line, ev.Event()) for line in self.out.all()]


def sequence_of(line):
    # 64-bit numbers are strings in proto3 JSON.
    return int(json.loads(line)["sequence"])


def without_torn_end(lines):
    """A killed process may leave half a line."""
    try:
        json.loads(lines[-1])
        return lines
    except (IndexError, ValueError):
        return lines[:-1]
