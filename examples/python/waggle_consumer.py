"""Prints Waggle's events as JSON lines, and never loses one.

Handle each response's events, then store its cursor, then read the next; when
the stream ends, wait and subscribe again with the cursor. A crash at any moment
repeats some events at most. Put your own handling in place of `print_events`.
"""

import argparse
import asyncio
import os
import pathlib
import random
import signal
import sys
from functools import partial
from typing import NoReturn

import grpc
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc import StatusCode
from grpc_status import rpc_status
from waggle.v1 import event_service_pb2 as api
from waggle.v1 import event_service_pb2_grpc as api_grpc

POSITIONS = {
    "earliest": api.START_POSITION_EARLIEST,
    "latest": api.START_POSITION_LATEST,
}
GAPS = {"CURSOR_EXPIRED", "CURSOR_STORE_MISMATCH"}
# Asking again would bring the same.
PERMANENT = {
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.PERMISSION_DENIED,
    StatusCode.UNAUTHENTICATED,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.OUT_OF_RANGE,
    StatusCode.UNIMPLEMENTED,
}
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
CHANNEL_OPTIONS = [
    # gRPC would stop after two pings, since such a client sends no data.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # 64 events of 1 MiB at most.
    ("grpc.max_receive_message_length", 64 << 20),
    # Otherwise a new channel would share the old one's connection.
    ("grpc.use_local_subchannel_pool", 1),
]


def fail(exit_code: int, message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(exit_code)


def read_text(path: pathlib.Path) -> str:
    text = path.read_text().strip()
    if not text:
        raise OSError(f"{path} is empty")
    return text


def store_cursor(path: pathlib.Path, cursor: str) -> None:
    """The file holds a whole cursor at any moment, whatever ends the process."""
    draft = path.with_name(path.name + ".new")
    with open(draft, "w") as file:
        file.write(cursor + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def print_events(events) -> None:
    lines = (json_format.MessageToJson(event, indent=None) for event in events)
    data = memoryview("".join(line + "\n" for line in lines).encode())
    # Under PYTHONUNBUFFERED sys.stdout drops the rest of a write that a signal
    # cuts short.
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def details_of(error: grpc.RpcError) -> tuple[str, float]:
    """The gateway's reason and the delay in seconds that it asks for, if any."""
    reason, delay = "", 0.0
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    try:
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            if detail.Unpack(info) and info.domain == "waggle.dev":
                reason = info.reason
            elif detail.Unpack(retry):
                delay = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    except (DecodeError, ValueError):
        pass  # Not the gateway's.
    return reason, delay


class Consumer:
    def __init__(self, args: argparse.Namespace):
        self._args = args
        file = args.cursor_file
        self._cursor = read_text(file) if file and file.exists() else ""
        self._position = POSITIONS[args.start]
        self._failures = 0
        self._channel = partial(grpc.aio.insecure_channel, args.target)
        if args.tls_ca:
            authorities = read_text(args.tls_ca)
            if "-----BEGIN CERTIFICATE-----" not in authorities:
                raise OSError(f"{args.tls_ca} holds no certificate in PEM")
            tls = grpc.ssl_channel_credentials(authorities.encode())
            self._channel = partial(grpc.aio.secure_channel, args.target, tls)
        self._metadata()  # Shows now whether the token can be read.

    async def run(self) -> None:
        """Ends only by being cancelled or by an exception."""
        while True:
            delay = 0.0
            try:
                why = await self._follow_stream()
            except grpc.RpcError as error:
                why = f"{error.code().name}: {error.details()}"
                reason, delay = details_of(error)
                if reason in GAPS and self._args.on_gap == "fail":
                    fail(4, f"{why}; see --on-gap")
                if reason in GAPS:
                    self._cursor, self._position = "", POSITIONS[self._args.on_gap]
                elif error.code() in PERMANENT:
                    fail(3, why)
            except TimeoutError:
                why = "the connection is dead: not even a heartbeat came"
            pause = self._pause(delay)
            print(f"{why}; again in {pause:.2f} s", file=sys.stderr, flush=True)
            await asyncio.sleep(pause)

    async def _follow_stream(self) -> str:
        try:
            metadata = self._metadata()
        except (OSError, UnicodeDecodeError) as error:
            return str(error)  # Passes: whoever replaces the token may be at it.
        # A connection of its own for each attempt: one that died in silence is
        # not used again.
        async with self._channel(options=CHANNEL_OPTIONS) as channel:
            call = api_grpc.EventServiceStub(channel).Subscribe(
                self._request(), metadata=metadata
            )
            while True:
                async with asyncio.timeout(3 * self._args.heartbeat):
                    response = await call.read()
                if response is grpc.aio.EOF:
                    return "the gateway ended the stream"
                # Without an await, so that a signal finds it done or not begun.
                self._handle(response)

    def _handle(self, response: api.SubscribeResponse) -> None:
        self._failures = 0
        print_events(response.events)
        if response.cursor != self._cursor:
            if self._args.cursor_file:
                store_cursor(self._args.cursor_file, response.cursor)
            self._cursor = response.cursor

    def _pause(self, delay: float) -> float:
        """Never sooner than asked, and not all consumers at once."""
        backoff = min(FIRST_PAUSE * 2 ** min(self._failures, 10), LONGEST_PAUSE)
        self._failures += 1
        if delay > 0:
            return delay * random.uniform(1, 1.2)
        return backoff * random.uniform(0.5, 1)

    def _metadata(self) -> list[tuple[str, str]]:
        if not self._args.token_file:
            return []
        # Anew each time, since tokens are rotated in place.
        return [("authorization", f"Bearer {read_text(self._args.token_file)}")]

    def _request(self) -> api.SubscribeRequest:
        args = self._args
        event_filter = api.EventFilter(
            type_names=args.type_name,
            connector_ids=args.connector,
            origin_ids=args.origin,
            endpoints=args.endpoint,
        )
        request = api.SubscribeRequest()
        if event_filter.ByteSize():
            request.filters.append(event_filter)
        if self._cursor:
            request.after_cursor = self._cursor
        else:
            request.position = self._position
        request.heartbeat_interval.FromSeconds(args.heartbeat)
        return request


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="waggle-consumer",
        description="Prints Waggle's events as JSON lines, and never loses one.",
        epilog="Values of one filter flag are alternatives; different flags must all"
        " match. --from is where to start without a cursor, --on-gap where to go on if"
        " events were removed before they were seen. Exit codes: 0 on SIGTERM, SIGINT"
        " or when nobody reads the output; 1 if a file cannot be used; 2 for a wrong"
        " command line; 3 if the gateway refuses the request; 4 for a gap.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--target", default="127.0.0.1:50051", metavar="HOST:PORT", help="the gateway")
    many = {"action": "append", "help": "filter; repeatable"}
    add("--type-name", metavar="NAME", **many)
    add("--connector", metavar="ID", **many)
    add("--origin", metavar="ID", **many)
    add("--endpoint", metavar="NAME", **many)
    file = {"type": pathlib.Path, "metavar": "FILE"}
    add("--cursor-file", **file, help="keeps the cursor; resume there if it exists")
    add("--from", dest="start", choices=list(POSITIONS), default="latest")
    add("--on-gap", choices=["fail", *POSITIONS], default="fail", help="see below")
    add("--heartbeat", type=int, default=30, metavar="SECONDS", help="longest silence")
    add("--tls-ca", **file, help="TLS, verified by these authorities (PEM)")
    add("--token-file", **file, help="bearer token, read anew for each attempt")
    args = parser.parse_args()
    if not 1 <= args.heartbeat <= 600:
        parser.error("--heartbeat takes 1 to 600 seconds")
    return args


async def consume(args: argparse.Namespace) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop(number, _frame) -> None:
        loop.call_soon_threadsafe(task.cancel)
        signal.signal(number, signal.SIG_DFL)  # Ends it even while writing blocks.

    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, stop)
    await Consumer(args).run()


def main() -> None:
    try:
        asyncio.run(consume(parse_arguments()))
    except (asyncio.CancelledError, BrokenPipeError):
        pass
    except (OSError, UnicodeDecodeError) as error:
        fail(1, str(error))
