"""What every consumer of Waggle has to do, whatever it is written in.

The oracle: each event that the filter matches is handled at least once and in
order, and exactly once where the cursor was stored after handling. Handled
means printed.
"""

import http.client
import json
import random
import shutil
import signal
import sys
import threading

import grpc
import harness
import newer_edition
import parallel
from consumer import Consumer, was_built
from fake_gateway import FakeGateway, Status, cursor, event, response
from google.protobuf import any_pb2
from grpc import StatusCode
from harness import api, ev
from security_test import Authority, SecureGateway, write
from silent_proxy import SilentProxy

MIB = 1 << 20
# Before gRPC's own keepalive finds a dead connection: 30 s and 10 s for the
# answer. Heartbeats of a second are to find it much earlier.
BEFORE_KEEPALIVE = 30


class Load:
    """Posts distinct webhooks, one after the other, until stop(); what is not
    answered while the gateway is away is given up."""

    def __init__(self, gateway):
        self._gateway = gateway
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        self._stopped.set()
        self._thread.join(harness.PATIENCE)

    def _run(self):
        connection = None
        number = 0
        # Paced, so that a consumer that is started again and again keeps up.
        while not self._stopped.wait(0.005):
            number += 1
            connection = connection or self._gateway.connect()
            try:
                status, _ = self._gateway.post(harness.employee_body(number),
                                               connection=connection)
            except (OSError, http.client.HTTPException):
                status = None
            if status != 200:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


class CursorWatch:
    """Reads a cursor file all the time, and remembers what it held."""

    def __init__(self, path):
        self._path = path
        self._stopped = threading.Event()
        self.seen = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        self._stopped.set()
        self._thread.join(harness.PATIENCE)

    def _run(self):
        while not self._stopped.wait(0.001):
            try:
                self.seen.add(self._path.read_text().strip())
            except FileNotFoundError:
                if self.seen:
                    self.seen.add("no file")


def filter_of(**fields):
    return {"filters": [api.EventFilter(**fields)]}


def log_of(gateway, **kwargs):
    """The sequences of all events that the gateway holds."""
    return [e.sequence for e in harness.list_all(gateway.stub(), **kwargs)]


class TestCase(harness.TestCase):

    def setUp(self):
        super().setUp()
        self.cursor_file = self.directory / "cursor"

    def consumer(self, target, *flags, cursor_file=None, paused=False):
        """Starts a consumer; its cursor file is the case's own."""
        consumer = Consumer("--target", target, "--cursor-file",
                            cursor_file or self.cursor_file, *flags,
                            paused=paused)
        self.addCleanup(consumer.kill)
        return consumer

    def fake(self, *script):
        fake = FakeGateway(script)
        self.addCleanup(fake.stop)
        return fake

    def load(self, gateway):
        load = Load(gateway)
        self.addCleanup(load.stop)
        return load

    def post(self, gateway, number, **kwargs):
        """Posts an event; returns its sequence."""
        status, answer = gateway.post(harness.employee_body(number), **kwargs)
        self.assertEqual(status, 200, answer)
        return answer["sequence"]

    def wait_for_subscribers(self, gateway, count):
        harness.wait_until(
            lambda: gateway.metrics()["waggle_subscribers"] == count,
            f"{count} subscribers")

    def finish(self, consumer, number=signal.SIGTERM):
        consumer.signal(number)
        consumer.wait_for_exit(0)


class FilterTest(TestCase):

    def test_filters_choose_as_their_flags_say(self):
        key = self.directory / "key"
        write(key, harness.KEY)
        gateway = self.gateway(config={"webhook": {"endpoints": [
            {"name": name, "signing_key_files": [str(key)]}
            for name in ("bindbee", "other")]}}).start()
        # Each combination of what the flags go by; the last one is matched by
        # all, and so tells that nothing more is to come.
        number = 0
        for event_name in ("connector_synced", "connector_relinked",
                           "employee_data_changed"):
            for connector in "c-2", "c-1":
                for origin in "o-3", "o-2", "o-1":
                    for endpoint in "other", "bindbee":
                        number += 1
                        body = json.loads(harness.employee_body(number))
                        body["webhook"]["event"] = event_name
                        body["connector"]["id"] = connector
                        body["connector"]["origin_id"] = origin
                        status, answer = gateway.post(
                            json.dumps(body).encode(),
                            path=f"/webhooks/{endpoint}")
                        self.assertEqual(status, 200, answer)
        cases = [
            ([], {}),
            (["--type-name", "employee_data_changed",
              "--type-name", "connector_relinked"],
             filter_of(type_names=["employee_data_changed",
                                   "connector_relinked"])),
            (["--connector", "c-1", "--endpoint", "bindbee"],
             filter_of(connector_ids=["c-1"], endpoints=["bindbee"])),
            (["--origin", "o-1", "--origin", "o-2", "--type-name",
              "employee_data_changed", "--connector", "c-1", "--connector",
              "none"],
             filter_of(origin_ids=["o-1", "o-2"], connector_ids=["c-1"],
                       type_names=["employee_data_changed"])),
        ]
        consumers = [
            self.consumer(gateway.addresses["grpc"], "--from", "earliest",
                          *flags, cursor_file=self.directory / f"cursor-{i}")
            for i, (flags, _) in enumerate(cases)]
        for consumer, (flags, request) in zip(consumers, cases):
            expected = harness.list_all(gateway.stub(), **request)
            self.assertEqual(expected[-1].sequence, number)
            consumer.wait_for_sequence(number)
            self.finish(consumer)
            self.assertEqual(consumer.events(), expected, flags)

    def test_everything_that_bindbee_sends_is_printed_in_full(self):
        gateway = self.gateway().start()
        for name in harness.sample_names():
            self.assertEqual(gateway.post(harness.sample(name))[0], 200)
        self.assertEqual(gateway.post(b"not JSON")[0], 200)
        expected = harness.list_all(gateway.stub())
        consumer = self.consumer(gateway.addresses["grpc"], "--from",
                                 "earliest")
        consumer.wait_for_events(len(expected))
        self.finish(consumer)
        self.assertEqual(consumer.events(), expected)

    def test_latest_is_where_it_starts_by_itself(self):
        gateway = self.gateway().start()
        self.post(gateway, 1)
        consumer = self.consumer(gateway.addresses["grpc"])
        self.wait_for_subscribers(gateway, 1)
        second = self.post(gateway, 2)
        consumer.wait_for_events(1)
        self.finish(consumer)
        self.assertEqual(consumer.sequences(), [second])


class EndOfConsumerTest(TestCase):

    def next_after_cursor(self, gateway):
        """The sequence of the first event that the stored cursor leaves."""
        request = api.ListEventsRequest(page_size=1)
        if self.cursor_file.exists():
            request.after_cursor = self.cursor_file.read_text().strip()

        def ask():
            try:
                return gateway.stub().ListEvents(request).events
            except grpc.RpcError as error:
                raise AssertionError(
                    f"the file holds {request.after_cursor!r}: "
                    f"{error.details()}") from None

        return harness.wait_until(ask, "an event after the cursor")[0].sequence

    def test_killed_at_any_moment_it_resumes_at_its_cursor(self):
        gateway = self.gateway().start()
        load = self.load(gateway)
        watch = CursorWatch(self.cursor_file)
        self.addCleanup(watch.stop)
        runs = []
        # Where each run left the cursor: what comes next, and whether that is
        # right behind what was printed.
        ends = []
        for number in [signal.SIGKILL, signal.SIGTERM, signal.SIGKILL,
                       signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]:
            consumer = self.consumer(gateway.addresses["grpc"], "--from",
                                     "earliest")
            consumer.wait_for_events(random.randint(1, 300))
            consumer.signal(number)
            self.assertEqual(consumer.wait(),
                             -number if number == signal.SIGKILL else 0,
                             consumer.err.text())
            runs.append(consumer.sequences())
            ends.append((self.next_after_cursor(gateway),
                         number == signal.SIGTERM))
        load.stop()
        log = log_of(gateway)
        consumer = self.consumer(gateway.addresses["grpc"])
        consumer.wait_for_sequence(log[-1])
        self.finish(consumer)
        runs.append(consumer.sequences())
        watch.stop()

        place = {sequence: index for index, sequence in enumerate(log)}
        for run in runs:
            first = place[run[0]]
            self.assertEqual(run, log[first:first + len(run)])
        self.assertEqual(runs[0][0], log[0])
        for run, after, (expected, exact) in zip(runs, runs[1:], ends):
            self.assertEqual(after[0], expected, "resumes at its cursor")
            behind = place[run[-1]] + 1
            self.assertLessEqual(place[expected], behind,
                                 "the cursor was stored before its events were "
                                 "printed")
            if exact:
                self.assertEqual(place[expected], behind,
                                 "what was printed is stored")
        # All cursors of one store are as long.
        self.assertEqual({len(text) for text in watch.seen},
                         {len(self.cursor_file.read_text().strip())},
                         sorted(watch.seen, key=len)[:3])

    def test_sigterm_finishes_the_response_at_hand(self):
        # More than a pipe holds, so it is in the middle of it.
        events = [event(n, traceparent="x" * 4096) for n in range(1, 201)]
        fake = self.fake([response(200, *events)])
        consumer = self.consumer(fake.address, paused=True)
        consumer.wait_until_blocked()
        self.assertFalse(self.cursor_file.exists(),
                         "stored before all was printed")
        consumer.signal(signal.SIGTERM)
        consumer.out.resume()
        consumer.wait_for_exit(0)
        self.assertEqual(consumer.sequences(), list(range(1, 201)))
        self.assertEqual(self.cursor_file.read_text().strip(), cursor(200))
        self.assertEqual(len(fake.attempts), 1)

    def test_signals_end_it_at_once_whatever_it_waits_for(self):
        idle = self.fake([response(1, event(1))])
        told_to_wait = self.fake([Status(StatusCode.UNAVAILABLE,
                                         reason="STREAM_ROTATED",
                                         retry_delay=3600)])
        for number in signal.SIGTERM, signal.SIGINT:
            reading = self.consumer(idle.address, "--heartbeat", "600")
            reading.wait_for_events(1)
            self.finish(reading, number)
        waiting = self.consumer(told_to_wait.address)
        waiting.err.wait_for(lambda lines: lines, "message")
        self.finish(waiting)
        self.assertEqual(len(told_to_wait.attempts), 1)

    def test_a_closed_output_ends_it_before_the_cursor_is_stored(self):
        closed = threading.Event()
        fake = self.fake([response(1, event(1)), closed,
                          response(2, event(2))])
        consumer = self.consumer(fake.address, paused=True)
        harness.wait_until(self.cursor_file.exists, "the first cursor")
        consumer.out.close()
        closed.set()
        consumer.process.wait(harness.PATIENCE)
        self.assertEqual(self.cursor_file.read_text().strip(), cursor(1))


class EndOfGatewayTest(TestCase):

    def follow_through(self, rounds, end, config=None):
        """Has a consumer follow a gateway that is under load, and in each round
        ended and started again on its data."""
        gateway = self.gateway(config=config).start()
        proxy = self.proxy()
        proxy.target = gateway.addresses["grpc"]
        load = self.load(gateway)
        consumer = self.consumer(proxy.address, "--from", "earliest")
        for number in range(rounds):
            seen = len(consumer.out.all())
            consumer.wait_for_events(seen + random.randint(1, 100))
            end(gateway, number)
            if gateway.program.process.poll() is not None:
                proxy.target = None
                gateway.start()
                proxy.target = gateway.addresses["grpc"]
        load.stop()
        log = log_of(gateway)
        consumer.wait_for_sequence(log[-1])
        self.finish(consumer)
        self.assertEqual(consumer.sequences(), log)
        # Nothing was left to be seen again.
        consumer = self.consumer(proxy.address)
        last = self.post(gateway, 1 << 30)
        consumer.wait_for_events(1)
        self.finish(consumer)
        self.assertEqual(consumer.sequences(), [last])

    def test_killed_and_started_again_on_its_data(self):
        self.follow_through(4, lambda gateway, number: gateway.kill())

    def test_drained_under_load_and_started_again(self):
        self.follow_through(
            3, lambda gateway, number: self.assertEqual(gateway.stop(), 0))

    def test_streams_that_reach_their_age(self):
        def wait_for_rotation(gateway, number):
            harness.wait_until(
                lambda: gateway.metrics()["waggle_subscriptions_total"] >
                number + 1, "rotation")

        self.follow_through(3, wait_for_rotation,
                            config={"grpc": {"max_stream_age": "1s"}})


class GapTest(TestCase):

    def cross_gap(self, gateway):
        """Starts one consumer for each --on-gap with the case's cursor, which
        has a gap behind it."""
        target = gateway.addresses["grpc"]
        left = log_of(gateway)
        self.assertTrue(left)
        consumers = {}
        files = {}
        for on_gap in "fail", "earliest", "latest":
            files[on_gap] = self.directory / f"cursor-{on_gap}"
            shutil.copy(self.cursor_file, files[on_gap])
            consumers[on_gap] = self.consumer(
                target, "--on-gap", on_gap, cursor_file=files[on_gap])
        by_default = self.consumer(target)
        for consumer in consumers.pop("fail"), by_default:
            consumer.wait_for_exit(4)
            self.assertEqual(consumer.out.all(), [])
            self.assertTrue(consumer.err.all(), "it says why")
        self.assertEqual(files["fail"].read_text(),
                         self.cursor_file.read_text())
        self.wait_for_subscribers(gateway, 2)
        new = self.post(gateway, 1 << 30)
        for on_gap, expected in ("earliest", [*left, new]), ("latest", [new]):
            consumers[on_gap].wait_for_sequence(new)
            self.finish(consumers[on_gap])
            self.assertEqual(consumers[on_gap].sequences(), expected, on_gap)
        # And from there as ever.
        newer = self.post(gateway, 1 << 31)
        for on_gap in "earliest", "latest":
            consumer = self.consumer(target, cursor_file=files[on_gap])
            consumer.wait_for_events(1)
            self.finish(consumer)
            self.assertEqual(consumer.sequences(), [newer], on_gap)

    def test_expired_cursor(self):
        gateway = self.gateway(config={"store": {"max_size": "16MiB"}}).start()
        self.post(gateway, 0)
        consumer = self.consumer(gateway.addresses["grpc"], "--from",
                                 "earliest")
        consumer.wait_for_events(1)
        self.finish(consumer)
        stored = self.cursor_file.read_text().strip()
        connection = gateway.connect()
        self.addCleanup(connection.close)
        for number in range(40):
            body = harness.employee_body(number) + b" " * (MIB - 4096)
            self.assertEqual(gateway.post(body, connection=connection)[0], 200)

        def expired():
            try:
                gateway.stub().ListEvents(
                    api.ListEventsRequest(after_cursor=stored, page_size=1))
                return False
            except grpc.RpcError as error:
                return harness.Problem(error).reason == "CURSOR_EXPIRED"

        harness.wait_until(expired, "retention")
        harness.wait_until(
            lambda: gateway.metrics()["waggle_store_size_bytes"] <= 16 * MIB,
            "the end of retention")
        self.cross_gap(gateway)

    def test_cursor_of_another_store(self):
        first = self.gateway("first").start()
        self.post(first, 1)
        consumer = self.consumer(first.addresses["grpc"], "--from", "earliest")
        consumer.wait_for_events(1)
        self.finish(consumer)
        second = self.gateway("second").start()
        for number in range(3):
            self.post(second, number)
        self.cross_gap(second)

    def test_a_gap_that_opens_between_two_streams(self):
        script = [[response(1, event(1)), Status(StatusCode.UNAVAILABLE)],
                  [Status(StatusCode.OUT_OF_RANGE, reason="CURSOR_EXPIRED")],
                  [response(7, event(7))]]
        fake = self.fake(*script)
        failing = self.consumer(fake.address)
        failing.wait_for_exit(4)
        self.assertEqual(failing.sequences(), [1])
        self.assertEqual(self.cursor_file.read_text().strip(), cursor(1))
        self.assertEqual(len(fake.attempts), 2)

        self.cursor_file.unlink()
        fake = self.fake(*script)
        going_on = self.consumer(fake.address, "--on-gap", "latest", "--from",
                                 "earliest")
        going_on.wait_for_events(2)
        self.finish(going_on)
        self.assertEqual(going_on.sequences(), [1, 7])
        self.assertEqual(self.cursor_file.read_text().strip(), cursor(7))
        self.assertEqual([a.request.position for a in fake.attempts],
                         [api.START_POSITION_EARLIEST,
                          api.START_POSITION_UNSPECIFIED,
                          api.START_POSITION_LATEST])

    def test_a_gap_is_known_by_the_gateways_reason_alone(self):
        for status in (
                Status(StatusCode.OUT_OF_RANGE, "CURSOR_EXPIRED"),
                Status(StatusCode.OUT_OF_RANGE, reason="CURSOR_EXPIRED",
                       domain="proxy.example"),
                Status(StatusCode.FAILED_PRECONDITION,
                       reason="CURSOR_UNHEARD_OF")):
            fake = self.fake([status])
            consumer = self.consumer(fake.address, "--on-gap", "earliest")
            consumer.wait_for_exit(3)
            self.assertEqual(len(fake.attempts), 1, status)


class FlowTest(TestCase):

    def test_a_slow_reader_slows_its_stream(self):
        gateway = self.gateway().start()
        connection = gateway.connect()
        self.addCleanup(connection.close)
        # About 200 KB each, much more together than what sockets and gRPC hold
        # on their way.
        count = 600
        for number in range(count):
            status, _ = gateway.post(
                harness.employee_body(number, employees=5000),
                connection=connection)
            self.assertEqual(status, 200)
        consumer = self.consumer(gateway.addresses["grpc"], "--from",
                                 "earliest", paused=True)
        consumer.wait_until_blocked()

        def delivered():
            return gateway.metrics()["waggle_events_delivered_total"]

        # Until it has stood still for so many looks; a consumer that takes in
        # what it cannot print does not before it has all.
        still = 0
        before = delivered()
        while still < 20:
            self.assertLess(before, count / 2, "it holds what it cannot print")
            consumer.out.wait_for_end(0.1)
            now = delivered()
            still = still + 1 if now == before else 0
            before = now
        # It is nobody else's trouble.
        last = self.post(gateway, count)
        self.assertEqual(len(log_of(gateway)), count + 1)

        consumer.out.resume()
        consumer.wait_for_sequence(last)
        self.finish(consumer)
        self.assertEqual(consumer.sequences(), log_of(gateway))

    def test_large_messages(self):
        events = [event(n, traceparent="x" * (MIB // 4)) for n in range(1, 65)]
        fake = self.fake([response(64, *events)])
        consumer = self.consumer(fake.address)
        consumer.wait_for_events(64)
        self.finish(consumer)
        self.assertEqual(consumer.events(), events)
        self.assertEqual(len(fake.attempts), 1)

    def test_a_dead_connection_is_noticed_by_its_silence(self):
        gateway = self.gateway().start()
        proxy = SilentProxy(gateway.addresses["grpc"])
        self.addCleanup(proxy.close)
        consumer = self.consumer(proxy.address, "--from", "earliest",
                                 "--heartbeat", "1")
        self.post(gateway, 1)
        consumer.wait_for_events(1)
        # The next connection is as dead.
        proxy.silence(new_connections=1)
        self.post(gateway, 2)
        consumer.wait_for_events(2, timeout=BEFORE_KEEPALIVE)
        self.assertEqual(proxy.silent_connections, 1)
        self.post(gateway, 3)
        consumer.wait_for_events(3)
        self.finish(consumer)
        self.assertEqual(consumer.sequences(), log_of(gateway))

    def test_a_dead_stream_is_noticed_though_its_connection_lives(self):
        fake = self.fake([response(1, event(1))], [response(2, event(2))])
        consumer = self.consumer(fake.address, "--heartbeat", "1")
        consumer.wait_for_events(2)
        self.finish(consumer)
        first, second = fake.attempts[:2]
        self.assertEqual(first.request.heartbeat_interval.ToSeconds(), 1)
        self.assertGreaterEqual(second.began - first.began, 2.9)
        self.assertEqual(second.request.after_cursor, cursor(1))

    def test_heartbeats_keep_a_stream_and_move_the_cursor(self):
        gateway = self.gateway().start()
        consumer = self.consumer(gateway.addresses["grpc"], "--origin",
                                 "nobody", "--heartbeat", "1")
        self.wait_for_subscribers(gateway, 1)
        harness.wait_until(self.cursor_file.exists, "a cursor")
        before = self.cursor_file.read_text()
        self.post(gateway, 1)
        harness.wait_until(lambda: self.cursor_file.read_text() != before,
                           "the cursor to move")
        # Longer than a stream may be silent.
        consumer.err.wait_for_end(4)
        self.finish(consumer)
        self.assertEqual(gateway.metrics()["waggle_subscriptions_total"], 1)
        self.assertEqual(consumer.out.all(), [])


class NewerEditionTest(TestCase):

    def test_what_a_newer_gateway_sends_is_printed(self):
        first = newer_edition.fill_added(newer_edition.Event())
        first.id = "a"
        first.sequence = 1
        first.type = newer_edition.EVENT_TYPE
        first.type_name = "connector_renamed"
        first.received_at.FromSeconds(1700000000)
        newer_edition.fill_added(first.added_data)
        connector = newer_edition.fill_added(first.connector)
        connector.id = "c"
        connector.categories.extend([1, newer_edition.CATEGORY, 2])
        connector.category_names.extend(["HRIS", "Added", "ATS"])
        connector.status = newer_edition.CONNECTOR_STATUS
        second = newer_edition.Event()
        second.CopyFrom(first)
        second.sequence = 2
        second.employees_changed.employee_ids.append("e")
        message = newer_edition.fill_added(newer_edition.SubscribeResponse())
        message.cursor = cursor(1)
        message.events.extend([first, second])
        fake = self.fake([message, response(3, event(3))])
        consumer = self.consumer(fake.address)
        consumer.wait_for_events(3)
        self.finish(consumer)

        # What an edition without the additions makes of it.
        expected = []
        for newer in first, second:
            known = ev.Event.FromString(newer.SerializeToString())
            known.DiscardUnknownFields()
            expected.append(known)
        self.assertEqual(consumer.events(), [*expected, event(3)])
        printed = json.loads(consumer.out.all()[0])
        self.assertEqual(printed["type"], newer_edition.EVENT_TYPE)
        self.assertEqual(len(fake.attempts), 1)

    def test_unknown_details_of_an_error_do_not_hide_the_known(self):
        unknown = any_pb2.Any(type_url="type.googleapis.com/waggle.v9.Advice",
                              value=b"\x0a\x01x")
        expired = Status(StatusCode.OUT_OF_RANGE, reason="CURSOR_EXPIRED",
                         unknown_detail=unknown)
        fake = self.fake([expired], [response(1, event(1))])
        consumer = self.consumer(fake.address, "--on-gap=earliest")
        consumer.wait_for_events(1)
        self.finish(consumer)
        self.assertEqual(fake.attempts[1].request.position,
                         api.START_POSITION_EARLIEST)


class ErrorTest(TestCase):

    def test_retry_info_is_heeded(self):
        fake = self.fake(
            [Status(StatusCode.UNAVAILABLE, reason="STREAM_ROTATED",
                    retry_delay=2)],
            [response(1, event(1)),
             Status(StatusCode.RESOURCE_EXHAUSTED, reason="TOO_MANY_STREAMS",
                    retry_delay=1.25)],
            [response(2, event(2))])
        consumer = self.consumer(fake.address)
        consumer.wait_for_events(2)
        self.finish(consumer)
        first, second, third = fake.attempts
        self.assertGreaterEqual(second.began - first.ended, 2)
        self.assertGreaterEqual(third.began - second.ended, 1.25)

    def test_pauses_grow_without_retry_info(self):
        failing = [Status(StatusCode.UNAVAILABLE)]
        fake = self.fake(*[failing] * 5, [response(1, event(1))])
        consumer = self.consumer(fake.address)
        consumer.wait_for_events(1)
        self.finish(consumer)
        for number, (before, after) in enumerate(
                zip(fake.attempts, fake.attempts[1:])):
            self.assertGreaterEqual(after.began - before.ended,
                                    0.05 * 2 ** number)

    def test_passing_errors_are_retried_with_the_cursor(self):
        codes = [StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED,
                 StatusCode.INTERNAL, StatusCode.UNKNOWN, StatusCode.CANCELLED,
                 StatusCode.DEADLINE_EXCEEDED, StatusCode.ABORTED,
                 StatusCode.DATA_LOSS, StatusCode.OK]
        script = [[Status(StatusCode.UNAVAILABLE)]]
        script += [[response(n, event(n)), Status(code)]
                   for n, code in enumerate(codes, 1)]
        script += [[response(len(script), event(len(script)))]]
        fake = self.fake(*script)
        consumer = self.consumer(fake.address, "--heartbeat", "20")
        consumer.wait_for_events(len(codes) + 1)
        self.finish(consumer)
        self.assertEqual(consumer.sequences(),
                         list(range(1, len(codes) + 2)))
        requests = [attempt.request for attempt in fake.attempts]
        # Never at LATEST again once there was a cursor.
        self.assertEqual([r.position for r in requests[:2]],
                         [api.START_POSITION_LATEST] * 2)
        self.assertEqual([r.after_cursor for r in requests[2:]],
                         [cursor(n) for n in range(1, len(codes) + 1)])
        self.assertEqual({r.heartbeat_interval.ToSeconds() for r in requests},
                         {20})

    def test_without_a_cursor_file_the_cursor_is_in_memory(self):
        fake = self.fake([response(1), Status(StatusCode.UNAVAILABLE)],
                         [response(2, event(2))])
        consumer = Consumer("--target", fake.address)
        self.addCleanup(consumer.kill)
        consumer.wait_for_events(1)
        self.finish(consumer)
        self.assertEqual(fake.attempts[1].request.after_cursor, cursor(1))

    def test_permanent_errors_end_it(self):
        for code in (StatusCode.INVALID_ARGUMENT, StatusCode.UNAUTHENTICATED,
                     StatusCode.PERMISSION_DENIED, StatusCode.UNIMPLEMENTED,
                     StatusCode.OUT_OF_RANGE, StatusCode.FAILED_PRECONDITION,
                     StatusCode.NOT_FOUND):
            fake = self.fake([Status(code, "this is why")])
            consumer = self.consumer(fake.address)
            consumer.wait_for_exit(3)
            self.assertIn("this is why", consumer.err.text())
            self.assertEqual(len(fake.attempts), 1, code)

    def test_a_gateway_that_is_not_there_yet_is_waited_for(self):
        gateway = self.gateway().start()
        sequence = self.post(gateway, 1)
        proxy = self.proxy()
        consumer = self.consumer(proxy.address, "--from", "earliest")
        consumer.err.wait_for(lambda lines: len(lines) >= 2, "two attempts")
        proxy.target = gateway.addresses["grpc"]
        consumer.wait_for_sequence(sequence)
        self.finish(consumer)


class AccessTest(TestCase):

    def test_tls_and_token(self):
        secure = SecureGateway(self)
        target = secure.gateway.addresses["grpc"]
        status, answer = secure.post(harness.employee_body(1))
        self.assertEqual(status, 200)
        token = self.directory / "token"
        ca = ["--tls-ca", secure.authority.certificate]
        flags = ["--from", "earliest", "--token-file", token]

        write(token, f"\n  {secure.token} \n")
        right = self.consumer(target, *ca, *flags)
        right.wait_for_sequence(answer["sequence"])
        self.finish(right)
        write(token, "wrong")
        for refused in (self.consumer(target, *ca, *flags),
                        self.consumer(target, *ca)):
            refused.wait_for_exit(3)
            self.assertEqual(refused.out.all(), [])
            self.assertNotIn(secure.token, refused.err.text())

        # It neither talks to who it cannot verify nor gives up.
        write(token, secure.token)
        stranger = Authority(self.directory / "stranger")
        for wary in (self.consumer(target, "--tls-ca", stranger.certificate,
                                   *flags),
                     self.consumer(target, *flags)):
            wary.err.wait_for(lambda lines: len(lines) >= 2, "two attempts")
            self.finish(wary)
            self.assertEqual(wary.out.all(), [])

    def test_the_token_is_read_anew_for_each_attempt(self):
        token = self.directory / "token"
        write(token, "first\n")
        rotated = threading.Event()
        fake = self.fake([response(1, event(1)), rotated,
                          Status(StatusCode.UNAVAILABLE)],
                         [response(2, event(2))])
        consumer = self.consumer(fake.address, "--token-file", token)
        consumer.wait_for_events(1)
        write(token, "second\n")
        rotated.set()
        consumer.wait_for_events(2)
        self.finish(consumer)
        self.assertEqual([a.metadata["authorization"] for a in fake.attempts],
                         ["Bearer first", "Bearer second"])


class CommandLineTest(TestCase):

    def test_a_bad_command_line(self):
        for flags in (["--no-such-flag"], ["stray"], ["--on-gap", "nonsense"],
                      ["--from=nowhere"], ["--heartbeat", "soon"],
                      ["--cursor-file"]):
            consumer = Consumer(*flags)
            self.addCleanup(consumer.kill)
            consumer.wait_for_exit(2)
            self.assertTrue(consumer.err.all(), flags)
            self.assertEqual(consumer.out.all(), [], flags)

    def test_help_names_every_flag(self):
        consumer = Consumer("--help")
        self.addCleanup(consumer.kill)
        consumer.wait_for_exit(0)
        for flag in ("--target", "--type-name", "--connector", "--origin",
                     "--endpoint", "--cursor-file", "--from", "--on-gap",
                     "--heartbeat", "--tls-ca", "--token-file"):
            self.assertIn(flag, consumer.out.text())

    def test_files_that_cannot_be_read(self):
        missing = self.directory / "missing"
        folder = self.directory / "folder"
        folder.mkdir()
        for flags in (["--token-file", missing], ["--tls-ca", missing],
                      ["--cursor-file", folder]):
            consumer = Consumer("--target", "127.0.0.1:1", *flags)
            self.addCleanup(consumer.kill)
            consumer.wait_for_exit(1)
            self.assertIn(flags[1].name, consumer.err.text())
            self.assertEqual(consumer.out.all(), [], flags)

    def test_a_file_that_holds_no_cursor_is_not_passed_over(self):
        gateway = self.gateway().start()
        self.post(gateway, 1)
        for text in "", "this is not a cursor\n":
            self.cursor_file.write_text(text)
            consumer = self.consumer(gateway.addresses["grpc"], "--from",
                                     "earliest")
            self.assertIn(consumer.wait(), (1, 2, 3))
            self.assertTrue(consumer.err.all())
            self.assertEqual(consumer.out.all(), [])
            self.assertEqual(self.cursor_file.read_text(), text)


if __name__ == "__main__":
    if not was_built():
        print("the consumer was not built: its toolchain is missing")
        sys.exit(77)
    parallel.main(sys.modules[__name__])
