"""kill -9 at random moments under load: what was answered is there, once.

The seed is printed; WAGGLE_TEST_SEED repeats its choices (not the kernel's).
"""

import http.client
import json
import os
import random
import threading
import time

import harness

ROUNDS = int(os.environ.get("WAGGLE_TEST_ROUNDS", "20"))
SEED = int(os.environ.get("WAGGLE_TEST_SEED", "0")) or random.randrange(1, 2**32)
CONNECTIONS = 16


class Delivery:

    def __init__(self, body):
        self.body = body
        self.signature = harness.sign(body)
        self.answers = []


class Ledger:
    """What was sent and what was answered, over all rounds."""

    def __init__(self, rng):
        self._rng = rng
        self._changed = threading.Condition()
        self._answers = 0
        self.deliveries = []

    def next(self):
        """A new delivery or, now and then, one of before: a retry."""
        with self._changed:
            if self.deliveries and self._rng.random() < 0.2:
                # Mostly a recent one, whose first answer may be lost or not
                # even be there yet.
                recent = self._rng.random() < 0.7
                return self._rng.choice(
                    self.deliveries[-40:] if recent else self.deliveries)
            delivery = Delivery(self._body(len(self.deliveries)))
            self.deliveries.append(delivery)
            return delivery

    def _body(self, number):
        kind = self._rng.random()
        if kind < 0.3:
            body = json.loads(harness.sample("sync_completed"))
            body["sync"]["sync_id"] = f"0191a001-3333-7aaa-8bbb-{number:012x}"
            return json.dumps(body).encode()
        if kind < 0.35:
            return f"authentic, but not JSON: {number}".encode()
        return harness.employee_body(number, self._rng.randrange(1, 60))

    def answered(self, delivery, answer):
        with self._changed:
            delivery.answers.append(answer)
            self._answers += 1
            self._changed.notify_all()

    def answers(self):
        with self._changed:
            return self._answers

    def wait_for_answers(self, count):
        with self._changed:
            if not self._changed.wait_for(lambda: self._answers >= count,
                                          harness.PATIENCE):
                raise AssertionError(f"{self._answers} of {count} answers")


def post_until_cut(gateway, ledger, unexpected):
    connection = gateway.connect()
    try:
        while True:
            delivery = ledger.next()
            connection.request(
                "POST", "/webhooks/bindbee", delivery.body,
                {harness.SIGNATURE_HEADER: delivery.signature})
            response = connection.getresponse()
            body = response.read()
            if response.status == 200:
                ledger.answered(delivery, json.loads(body))
            else:
                unexpected.append((response.status, body))
                return
    except (OSError, http.client.HTTPException):
        return  # The gateway is gone; so may be the answer.
    finally:
        connection.close()


class CrashTest(harness.TestCase):

    def test_answered_webhooks_survive_kill_exactly_once(self):
        print(f"seed {SEED}, {ROUNDS} rounds", flush=True)
        rng = random.Random(SEED)
        ledger = Ledger(rng)
        gateway = self.gateway()
        follower = self.follower(include_payload=True)
        for _ in range(ROUNDS):
            if rng.random() < 0.25:
                self.kill_while_starting(gateway, rng)
            gateway.start()
            follower.follow(gateway.addresses["grpc"])
            self.run_round(gateway, ledger, rng)

        gateway.start()
        follower.follow(gateway.addresses["grpc"])
        log = harness.list_all(gateway.stub(), include_payload=True)
        self.check_answers(ledger, log)
        self.check_log(ledger, log)
        follower.wait_for_sequence(log[-1].sequence)
        self.assert_same_events(follower.events, log)
        self.assert_same_events(
            harness.replay(gateway.stub(), include_payload=True)[0], log)
        self.assertEqual(gateway.stop(), 0)

    def kill_while_starting(self, gateway, rng):
        gateway.launch()
        time.sleep(rng.random() * 0.1)  # a random moment, not a condition
        gateway.kill()

    def run_round(self, gateway, ledger, rng):
        unexpected = []
        threads = [threading.Thread(target=post_until_cut,
                                    args=(gateway, ledger, unexpected))
                   for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        try:
            ledger.wait_for_answers(ledger.answers() + rng.randrange(1, 600))
            time.sleep(rng.random() * 0.005)  # anywhere within a commit
        finally:
            gateway.kill()
        for thread in threads:
            thread.join(harness.PATIENCE)
            self.assertFalse(thread.is_alive())
        self.assertEqual(unexpected, [])

    def check_answers(self, ledger, log):
        by_payload = {}
        for event in log:
            self.assertNotIn(event.payload, by_payload, "stored twice")
            by_payload[event.payload] = event
        repeated = unanswered = 0
        for delivery in ledger.deliveries:
            if not delivery.answers:
                unanswered += 1
                continue
            event = by_payload.get(delivery.body)
            self.assertIsNotNone(event, f"lost: {delivery.answers}")
            for answer in delivery.answers:
                self.assertEqual((answer["id"], answer["sequence"]),
                                 (event.id, event.sequence))
            firsts = [a for a in delivery.answers if not a["duplicate"]]
            self.assertLessEqual(len(firsts), 1)
            repeated += len(delivery.answers) > 1
        print(f"{len(ledger.deliveries)} bodies, {len(log)} events, "
              f"{repeated} answered repeatedly, {unanswered} never", flush=True)
        self.assertGreater(repeated, 0)

    def check_log(self, ledger, log):
        """Nothing is there by half, and in one order."""
        sent = {delivery.body: delivery for delivery in ledger.deliveries}
        last_sequence = 0
        for event in log:
            self.assertGreater(event.sequence, last_sequence)
            last_sequence = event.sequence
            self.assertIn(event.payload, sent)
            self.assertEqual(harness.sign(event.payload),
                             sent[event.payload].signature)
            self.assertEqual(event.endpoint, "bindbee")
            self.assertNotEqual(event.id, "")
            data = event.WhichOneof("data")
            if data == "unrecognized":
                self.assertTrue(event.payload.startswith(b"authentic"))
                continue
            body = json.loads(event.payload)
            if data == "employees_changed":
                self.assertEqual(list(event.employees_changed.employee_ids),
                                 body["data"])
            else:
                self.assertEqual(event.sync.id, body["sync"]["sync_id"])
        self.assertEqual(len({event.id for event in log}), len(log))

    def assert_same_events(self, seen, log):
        self.assertEqual([event.sequence for event in seen],
                         [event.sequence for event in log])
        self.assertEqual(seen, log)


if __name__ == "__main__":
    harness.main()
