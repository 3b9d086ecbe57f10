"""A gateway that does what a scenario says, for what a real one cannot be made
to do.

    fake = FakeGateway([
        [response(1, event(1)), Status(UNAVAILABLE, retry_delay=2)],
        [response(2, event(2))],
    ])

Each element is what one attempt to subscribe gets, in order; the last one
serves all further attempts. At a threading.Event an attempt waits until it is
set. One that is not ended by a Status stays open and silent until the consumer
leaves it.
"""

import concurrent.futures
import dataclasses
import threading
import time

import grpc
import harness
from google.protobuf import any_pb2
from harness import api, error_details_pb2, ev, status_pb2


def cursor(number):
    """Looks like a cursor; the same for the same number."""
    return f"fake-cursor-{number:012d}"


def event(number, **fields):
    return ev.Event(id=f"0191a001-0000-7000-8000-{number:012x}",
                    sequence=number, type_name="connector_synced",
                    endpoint="bindbee", **fields)


def response(number, *events):
    return api.SubscribeResponse(events=events, cursor=cursor(number))


@dataclasses.dataclass
class Status:
    """How a stream ends."""

    code: grpc.StatusCode
    message: str = "as the scenario says"
    reason: str = ""
    domain: str = "waggle.dev"
    retry_delay: float = 0
    # Packed before the others.
    unknown_detail: any_pb2.Any = None

    def details(self):
        details = [] if self.unknown_detail is None else [self.unknown_detail]
        messages = []
        if self.reason:
            messages.append(error_details_pb2.ErrorInfo(
                reason=self.reason, domain=self.domain))
        if self.retry_delay:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromMilliseconds(int(self.retry_delay * 1000))
            messages.append(retry)
        for message in messages:
            details.append(any_pb2.Any())
            details[-1].Pack(message)
        return details


@dataclasses.dataclass
class Attempt:
    """One Subscribe call."""

    request: api.SubscribeRequest
    metadata: dict
    began: float
    # Right before its status was sent, or once its client was gone.
    ended: float = None


class FakeGateway:

    def __init__(self, script):
        self._script = script
        self._changed = threading.Condition()
        self._attempts = []
        self._server = grpc.server(
            concurrent.futures.ThreadPoolExecutor(max_workers=8),
            options=[("grpc.so_reuseport", 0),
                     ("grpc.max_send_message_length", -1)])
        # As bytes, since what newer editions send has no stub here.
        self._server.add_generic_rpc_handlers((
            grpc.method_handlers_generic_handler(
                "waggle.v1.EventService",
                {"Subscribe": grpc.unary_stream_rpc_method_handler(
                    self._subscribe,
                    request_deserializer=api.SubscribeRequest.FromString)}),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def stop(self):
        self._server.stop(grace=None)

    @property
    def attempts(self):
        with self._changed:
            return list(self._attempts)

    def wait_for_attempts(self, count, timeout=harness.PATIENCE):
        with self._changed:
            if not self._changed.wait_for(
                    lambda: len(self._attempts) >= count, timeout):
                raise AssertionError(
                    f"{len(self._attempts)} attempts instead of {count}")
            return list(self._attempts)

    def wait_for_end(self, index):
        """Waits until an attempt has ended."""
        with self._changed:
            if not self._changed.wait_for(
                    lambda: len(self._attempts) > index and
                    self._attempts[index].ended is not None,
                    harness.PATIENCE):
                raise AssertionError(f"attempt {index} did not end")

    def _subscribe(self, request, context):
        left = threading.Event()
        # False if the call is over already.
        if not context.add_callback(left.set):
            left.set()
        attempt = Attempt(request, dict(context.invocation_metadata()),
                          time.monotonic())
        with self._changed:
            number = len(self._attempts)
            self._attempts.append(attempt)
            self._changed.notify_all()
        for item in self._script[min(number, len(self._script) - 1)]:
            if isinstance(item, threading.Event):
                item.wait(harness.PATIENCE)
                continue
            if isinstance(item, Status):
                self._end(attempt)
                self._abort(context, item)
                return
            yield item if isinstance(item, bytes) else item.SerializeToString()
        left.wait()
        self._end(attempt)

    def _end(self, attempt):
        with self._changed:
            attempt.ended = time.monotonic()
            self._changed.notify_all()

    @staticmethod
    def _abort(context, status):
        if status.code == grpc.StatusCode.OK:
            return
        details = status.details()
        if details:
            rich = status_pb2.Status(code=status.code.value[0],
                                     message=status.message, details=details)
            context.set_trailing_metadata((
                ("grpc-status-details-bin", rich.SerializeToString()),))
        context.abort(status.code, status.message)
