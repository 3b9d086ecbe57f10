#!/usr/bin/env -S /usr/bin/python3 -B
"""A consumer with one fault, for broken_consumers_test.py.

    broken_consumer.py run DIR FLAG ...

The name of DIR is the fault; "none" is a consumer as it should be, as far as
the cases go that the faults are for.
"""

import argparse
import os
import pathlib
import queue
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "integration"))
os.environ.setdefault("WAGGLE_TEST_BINARY", "")

import grpc  # noqa: E402
import harness  # noqa: E402
from google.protobuf import json_format  # noqa: E402
from harness import api, api_grpc  # noqa: E402

POSITIONS = {"earliest": api.START_POSITION_EARLIEST,
             "latest": api.START_POSITION_LATEST}
GAPS = ("CURSOR_EXPIRED", "CURSOR_STORE_MISMATCH")
PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED,
           grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN,
           grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED,
           grpc.StatusCode.ABORTED, grpc.StatusCode.DATA_LOSS)


class BrokenConsumer:

    def __init__(self, fault, flags):
        self._fault = fault
        self._flags = flags
        path = flags.cursor_file
        self._cursor = path.read_text() if path and path.exists() else ""
        self._position = POSITIONS[flags.start]
        self._channel = None
        self._in_hand = threading.Lock()
        self._failures = 0

    def end(self, *_):
        """On a signal: once the response at hand is done with."""
        def leave():
            with self._in_hand:
                os._exit(0)
        threading.Thread(target=leave).start()

    def run(self):
        while True:
            delay = 0.1 * 2 ** min(self._failures, 6)
            self._failures += 1
            try:
                self._follow_stream()
            except grpc.RpcError as error:
                problem = harness.Problem(error)
                info = problem.info
                if self._fault == "guesses_gaps":
                    gap = "CURSOR" in problem.message
                else:
                    gap = (info is not None and info.domain == "waggle.dev" and
                           info.reason in GAPS)
                if gap:
                    self._cursor = ""
                    self._position = POSITIONS[self._flags.on_gap]
                elif (problem.code not in PASSING and
                      self._fault != "retries_everything"):
                    print(problem.message, file=sys.stderr)
                    os._exit(3)
                retry = problem.details.get("RetryInfo")
                if retry and self._fault != "ignores_retry_info":
                    delay = retry.retry_delay.ToMilliseconds() / 1000
            time.sleep(delay)

    def _follow_stream(self):
        if self._channel is None or self._fault != "keeps_its_connection":
            self._channel = harness.open_channel(self._flags.target)
        request = api.SubscribeRequest()
        request.heartbeat_interval.FromSeconds(self._flags.heartbeat)
        if self._cursor and self._fault != "forgets_its_cursor":
            request.after_cursor = self._cursor
        else:
            request.position = self._position
        call = api_grpc.EventServiceStub(self._channel).Subscribe(request)
        # Hands one response over at a time.
        arrived = queue.Queue(0 if self._fault == "reads_ahead" else 1)
        threading.Thread(target=self._receive, args=(call, arrived),
                         daemon=True).start()
        while True:
            try:
                response = arrived.get(timeout=3 * self._flags.heartbeat)
            except queue.Empty:
                call.cancel()
                return
            if response is None:
                if call.code() != grpc.StatusCode.OK:
                    raise call
                return
            with self._in_hand:
                self._handle(response)

    @staticmethod
    def _receive(call, arrived):
        try:
            for response in call:
                arrived.put(response)
        except grpc.RpcError:
            pass  # It is the call that tells.
        arrived.put(None)

    def _handle(self, response):
        self._failures = 0
        self._cursor = response.cursor
        if self._fault == "stores_first":
            self._store()
            time.sleep(0.05)
        for event in response.events:
            if self._fault == "drops_the_unknown" and \
                    event.type not in harness.ev.EventType.values():
                continue
            print(json_format.MessageToJson(event, indent=None))
        sys.stdout.flush()
        self._store()

    def _store(self):
        path = self._flags.cursor_file
        if path is None:
            return
        draft = path.with_suffix(".new")
        if self._fault == "writes_in_place":
            draft = path
        with open(draft, "w") as file:
            os.fsync(file.fileno())
            file.write(self._cursor)
        draft.rename(path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--target")
    parser.add_argument("--cursor-file", type=pathlib.Path)
    parser.add_argument("--from", dest="start", default="latest")
    parser.add_argument("--on-gap", default="fail")
    parser.add_argument("--heartbeat", type=int, default=30)
    fault = pathlib.Path(sys.argv[2]).name
    consumer = BrokenConsumer(fault, parser.parse_args(sys.argv[3:]))
    threading.Thread(target=consumer.run, daemon=True).start()
    signal.signal(signal.SIGTERM, consumer.end)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
