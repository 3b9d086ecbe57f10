"""One release takes over from another on the same data, while webhooks keep
coming: nothing is lost, and subscribers go on by themselves.

Environment: WAGGLE_TEST_OLD_BINARY is the program of an earlier release;
without it, the program under test stands for both.
"""

import heapq
import http.client
import itertools
import json
import os
import sqlite3
import threading
import time
import uuid

import harness

# What each release left behind, as SQL, after it took all samples.
RELEASES = sorted((harness.SOURCE / "tests/integration/releases").glob("*.sql"))
OLD_BINARY = os.environ.get("WAGGLE_TEST_OLD_BINARY", harness.BINARY)
NEW_BINARY = harness.BINARY


class Delivery:

    def __init__(self, number):
        self.body = harness.employee_body(number)
        self.attempts = 0
        self.answer = None


class Bindbee:
    """Delivers new webhooks at a steady pace to wherever `gateway` is reached,
    each over a connection of its own, and tries again as Bindbee does: on a
    network failure and on every status other than 2xx, up to four times within
    60 seconds.
    """

    PACE = 0.02
    RETRY_AFTER = (1, 4, 15, 40)
    WORKERS = 16

    def __init__(self, address):
        self._host, port = address.rsplit(":", 1)
        self._port = int(port)
        self._changed = threading.Condition()
        self._due = []
        self._order = itertools.count()
        self._open = 0
        self._stopped = False
        self.accepted = []
        self.lost = []
        # When each attempt ended, and with what: a status, or None.
        self.attempts = []
        threads = [threading.Thread(target=self._feed, daemon=True)]
        threads += [threading.Thread(target=self._work, daemon=True)
                    for _ in range(self.WORKERS)]
        for thread in threads:
            thread.start()

    def wait_for(self, predicate, what, timeout=harness.PATIENCE):
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self), timeout):
                raise AssertionError(f"{what}: {len(self.accepted)} accepted, "
                                     f"{self._open} open")

    def wait_for_more(self, count):
        """Waits until so many more have been accepted."""
        goal = len(self.accepted) + count
        self.wait_for(lambda b: len(b.accepted) >= goal, f"{goal} accepted")

    def finish(self):
        """Sends nothing new, and waits for what is still to be tried again."""
        self.stop()
        self.wait_for(lambda b: b._open == 0, "the last ones",
                      sum(self.RETRY_AFTER) + harness.PATIENCE)

    def stop(self):
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def outage(self):
        """The longest time without an acceptance, in which attempts failed, and
        what these met: how many of each status (None: no answer)."""
        longest, statuses = 0, {}
        failed, since = {}, None
        for when, status in sorted(self.attempts, key=lambda a: a[0]):
            if status != 200:
                failed[status] = failed.get(status, 0) + 1
                continue
            if failed and when - since > longest:
                longest, statuses = when - since, failed
            failed, since = {}, when
        return longest, statuses

    def _feed(self):
        for number in itertools.count():
            with self._changed:
                if self._changed.wait_for(lambda: self._stopped, self.PACE):
                    return
                self._open += 1
                self._schedule(Delivery(number), 0)

    def _schedule(self, delivery, delay):
        heapq.heappush(self._due, (time.monotonic() + delay, next(self._order),
                                   delivery))
        self._changed.notify_all()

    def _next(self):
        with self._changed:
            while True:
                if self._stopped and self._open == 0:
                    return None
                wait = None
                if self._due:
                    wait = self._due[0][0] - time.monotonic()
                    if wait <= 0:
                        return heapq.heappop(self._due)[2]
                self._changed.wait(wait)

    def _work(self):
        while delivery := self._next():
            status, answer = self._post(delivery.body)
            with self._changed:
                self.attempts.append((time.monotonic(), status))
                delivery.attempts += 1
                if status == 200:
                    delivery.answer = json.loads(answer)
                    self.accepted.append(delivery)
                elif delivery.attempts <= len(self.RETRY_AFTER):
                    self._schedule(delivery,
                                   self.RETRY_AFTER[delivery.attempts - 1])
                    continue
                else:
                    self.lost.append(delivery)
                self._open -= 1
                self._changed.notify_all()

    def _post(self, body):
        connection = http.client.HTTPConnection(self._host, self._port,
                                                timeout=10)
        try:
            connection.request("POST", "/webhooks/bindbee", body,
                               {harness.SIGNATURE_HEADER: harness.sign(body)})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return None, b""
        finally:
            connection.close()


def describe(statuses):
    return ", ".join(f"{count} x {status or 'no answer'}"
                     for status, count in statuses.items())


class Service:
    """The addresses that outlive a release, as a Kubernetes Service's do."""

    def __init__(self, test):
        self._webhook = test.proxy()
        self._grpc = test.proxy()
        self.webhook = self._webhook.address
        self.grpc = self._grpc.address

    def lead_to(self, gateway):
        self._webhook.target = gateway.addresses["webhook"]
        self._grpc.target = gateway.addresses["grpc"]


class UpgradeTest(harness.TestCase):

    def setUp(self):
        super().setUp()
        self.data = self.gateway(binary=OLD_BINARY)
        self.service = Service(self)

    def start(self, binary):
        self.data.binary = binary
        self.data.start()
        self.service.lead_to(self.data)

    def schema_version(self):
        """Of the data, which nobody has open."""
        database = sqlite3.connect(self.data.data_path / "events.db")
        try:
            return database.execute("PRAGMA user_version").fetchone()[0]
        finally:
            database.close()

    def start_load(self):
        """Webhooks, and a subscriber that prints what it is sent."""
        bindbee = Bindbee(self.service.webhook)
        self.addCleanup(bindbee.stop)
        subscriber = self.program(
            "tail", "--address", self.service.grpc, "--from", "earliest",
            "--cursor-file", self.directory / "cursor", "--heartbeat", "1s")
        bindbee.wait_for_more(100)
        return bindbee, subscriber

    def take_over(self, bindbee, binary):
        """The one that runs drains, then `binary` starts, under load."""
        self.assertEqual(self.data.stop(), 0)
        self.start(binary)
        bindbee.wait_for_more(100)

    def check(self, bindbee, subscriber):
        """Each webhook was accepted in time, is stored once, and was sent to
        the subscriber once, in order."""
        bindbee.finish()
        self.assertEqual(bindbee.lost, [])
        longest, statuses = bindbee.outage()
        attempts = max(delivery.attempts for delivery in bindbee.accepted)
        print(f"{len(bindbee.accepted)} webhooks, each accepted by attempt "
              f"{attempts} of 5 at the latest; gap {longest:.2f} s, in which "
              f"attempts met {describe(statuses)}", flush=True)
        # A gap of 5 seconds is over by the third; a slow machine has one more.
        self.assertLessEqual(attempts, 4)

        log = harness.list_all(self.data.stub(), include_payload=True)
        stored = {event.payload: event for event in log}
        self.assertEqual(len(stored), len(log), "stored twice")
        self.assertEqual(len(log), len(bindbee.accepted))
        for delivery in bindbee.accepted:
            event = stored[delivery.body]
            self.assertEqual(
                (delivery.answer["id"], delivery.answer["sequence"]),
                (event.id, event.sequence))
        subscriber.out.wait_for(lambda lines: len(lines) >= len(log),
                                "end of the log")
        self.assertEqual([json.loads(line)["id"]
                          for line in subscriber.out.all()],
                         [event.id for event in log])
        self.assertIsNone(subscriber.process.poll())

    def test_new_release_takes_over_under_load(self):
        self.start(OLD_BINARY)
        bindbee, subscriber = self.start_load()
        self.take_over(bindbee, NEW_BINARY)
        self.check(bindbee, subscriber)
        self.assertEqual(self.data.stop(), 0)

    def test_rollback_under_load(self):
        self.start(OLD_BINARY)
        self.assertEqual(self.data.stop(), 0)
        old_version = self.schema_version()
        self.start(NEW_BINARY)
        bindbee, subscriber = self.start_load()
        self.assertEqual(self.data.stop(), 0)
        if self.schema_version() == old_version:
            self.start(OLD_BINARY)
        else:
            # Not by this way: the new one goes on with what it has.
            self.check_refused(OLD_BINARY)
            self.start(NEW_BINARY)
        bindbee.wait_for_more(100)
        self.check(bindbee, subscriber)
        self.assertEqual(self.data.stop(), 0)

    def test_data_of_each_release_is_taken_over(self):
        self.assertGreaterEqual(len(RELEASES), 1)
        for release in RELEASES:
            with self.subTest(release.stem):
                self.check_taken_over(release)

    def check_taken_over(self, release):
        # Kept, however long ago that was.
        gateway = self.gateway(release.stem,
                               config={"store": {"max_age": "0s"}})
        gateway.data_path.mkdir()
        database = sqlite3.connect(gateway.data_path / "events.db")
        database.executescript(release.read_text())
        rows = database.execute(
            "SELECT seq, id, payload FROM events ORDER BY seq").fetchall()
        database.close()

        gateway.start()
        log = harness.list_all(gateway.stub(), include_payload=True)
        self.assertEqual([(event.sequence, uuid.UUID(event.id).bytes,
                           event.payload) for event in log], rows)
        self.assertEqual(harness.replay(gateway.stub(),
                                        include_payload=True)[0], log)
        # It goes on where that release ended, and knows what had arrived.
        completed = harness.sample("sync_completed")
        first = next(event for event in log if event.payload == completed)
        self.assertEqual(gateway.post(completed),
                         (200, {"id": first.id, "sequence": first.sequence,
                                "duplicate": True}))
        status, answer = gateway.post(harness.employee_body(1))
        self.assertEqual((status, answer["sequence"]),
                         (200, log[-1].sequence + 1))
        self.assertEqual(gateway.stop(), 0)

    def test_data_of_a_newer_release_is_refused_and_left_as_it_is(self):
        self.start(NEW_BINARY)
        status, answer = self.data.post(harness.employee_body(1))
        self.assertEqual(status, 200)
        self.assertEqual(self.data.stop(), 0)
        version = self.schema_version()
        self.set_schema_version(version + 1)
        self.check_refused(NEW_BINARY)
        self.set_schema_version(version)
        self.start(NEW_BINARY)
        self.assertEqual([event.id for event in
                          harness.list_all(self.data.stub())], [answer["id"]])
        self.assertEqual(self.data.stop(), 0)

    def set_schema_version(self, version):
        database = sqlite3.connect(self.data.data_path / "events.db")
        try:
            database.execute(f"PRAGMA user_version={version}")
        finally:
            database.close()

    def check_refused(self, binary):
        """The program ends with a sentence that says what to do, and writes
        nothing."""
        path = self.data.data_path / "events.db"
        before = path.read_bytes()
        self.data.binary = binary
        self.data.launch()
        self.assertEqual(self.data.program.wait(), 1)
        said = self.data.program.err.text()
        self.assertIn("schema version", said)
        self.assertIn("run the newer program", said)
        self.assertEqual(path.read_bytes(), before)


if __name__ == "__main__":
    harness.main()
