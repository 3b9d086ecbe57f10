"""SIGTERM: what was begun is finished, and everybody is told to come back."""

import http.client
import json
import signal
import socket
import threading
import time

import grpc
import harness

# Answers of grpc.health.v1, as they are on the wire.
SERVING = b"\x08\x01"
NOT_SERVING = b"\x08\x02"


class Load:
    """Posts distinct webhooks over connections that are kept, and opened anew
    after every answer that closes them, until stop()."""

    def __init__(self, gateway, connections=8):
        self._gateway = gateway
        self._changed = threading.Condition()
        self._stopped = False
        self._signalled = False
        self._number = 0
        self.accepted = {}
        self.refused = []
        # Of those that were sent before the signal.
        self.cut = []
        self._threads = [threading.Thread(target=self._run, daemon=True)
                         for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, predicate, what):
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self),
                                          harness.PATIENCE):
                raise AssertionError(what)

    def before_signal(self):
        """To be called right before the gateway is told to end: what is sent
        from then on may find it gone."""
        with self._changed:
            self._signalled = True

    def stop(self):
        with self._changed:
            self._stopped = True
        for thread in self._threads:
            thread.join(harness.PATIENCE)

    def _run(self):
        connection = self._gateway.connect()
        while True:
            with self._changed:
                if self._stopped:
                    break
                self._number += 1
                late = self._signalled
                body = harness.employee_body(self._number)
            try:
                connection.request("POST", "/webhooks/bindbee", body,
                                   {harness.SIGNATURE_HEADER:
                                    harness.sign(body)})
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if late and isinstance(error, ConnectionRefusedError):
                    break  # The gateway has ended.
                if not late:
                    self.cut.append(repr(error))
                continue
            with self._changed:
                if response.status == 200:
                    answer = json.loads(answer)
                    self.accepted[answer["id"]] = answer["sequence"]
                else:
                    self.refused.append((response.status,
                                         response.getheader("Retry-After")))
                self._changed.notify_all()
            if response.status != 200:
                connection.close()
        connection.close()


class HalfSent:
    """A webhook whose body has been sent by half."""

    def __init__(self, gateway, body):
        host, port = gateway.addresses["webhook"].rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)),
                                                harness.PATIENCE)
        head = (f"POST /webhooks/bindbee HTTP/1.1\r\nHost: {host}\r\n"
                f"{harness.SIGNATURE_HEADER}: {harness.sign(body)}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        half = len(body) // 2
        self._rest = body[half:]
        self._socket.sendall(head.encode() + body[:half])

    def finish(self):
        """Sends the rest; returns status and answer."""
        self._socket.sendall(self._rest)
        response = http.client.HTTPResponse(self._socket)
        response.begin()
        return response.status, json.loads(response.read())

    def close(self):
        self._socket.close()


def wait_until_read(gateway, connections):
    """Waits until the webhook door knows of so many connections, and then some
    time in which it reads what they have sent."""
    harness.wait_until(
        lambda: gateway.metrics()["waggle_webhook_connections"] >= connections,
        "connections")
    # A request that the gateway answers came to it after those.
    assert gateway.post(harness.employee_body(1 << 30))[0] == 200


class DrainingTest(harness.TestCase):

    def test_sigterm_under_load_finishes_what_was_begun(self):
        gateway = self.gateway(config={
            "shutdown": {"timeout": "30s", "linger": "2s"},
            "webhook": {"request_timeout": "60s"}}).start()
        self.wait_ready(gateway)
        followers = [self.follower() for _ in range(3)]
        for follower in followers:
            follower.follow(gateway.addresses["grpc"])
            follower.wait_for_subscriptions(1)
        health = self.watch_health(gateway)
        self.assertIn(SERVING, health)
        half_body = harness.employee_body(1 << 31)
        half = HalfSent(gateway, half_body)
        self.addCleanup(half.close)
        wait_until_read(gateway, 1)
        load = Load(gateway)
        self.addCleanup(load.stop)
        load.wait_for(lambda l: len(l.accepted) >= 300, "300 accepted")

        begun = time.monotonic()
        load.before_signal()
        gateway.program.signal(signal.SIGTERM)
        load.wait_for(lambda l: l.refused, "a refusal")
        self.assertIn(NOT_SERVING, health)
        status, reason = gateway.get("/readyz")
        self.assertEqual(status, 503)
        self.assertIn("drain", reason)
        self.assertEqual(gateway.get("/healthz")[0], 200)
        status, answer = half.finish()
        self.assertEqual(status, 200, answer)
        self.assertEqual(gateway.program.wait(), 0)
        self.assertLess(time.monotonic() - begun, 30)
        load.stop()

        self.assertEqual(load.cut, [])
        for status, retry_after in load.refused:
            self.assertEqual(status, 503)
            self.assertGreaterEqual(int(retry_after), 1)
        accepted = {**load.accepted, answer["id"]: answer["sequence"]}
        for follower in followers:
            follower.wait_for_ends(1)
            end = follower.ends[0]
            self.assertEqual((end.code, end.reason),
                             (grpc.StatusCode.UNAVAILABLE, "STREAM_ROTATED"),
                             end)
            delay = end.details["RetryInfo"].retry_delay
            self.assertGreater(delay.seconds + delay.nanos, 0)
            seen = {event.id: event.sequence for event in follower.events}
            self.assertEqual(len(seen), len(follower.events))
            missing = {id: accepted[id] for id in accepted.keys() - seen}
            self.assertEqual(missing, {}, f"not sent, of {len(seen)}")

        gateway.start()
        log = harness.list_all(gateway.stub())
        for follower in followers:
            self.assertEqual(follower.events, log)
        self.assertEqual(gateway.stop(), 0)

    def watch_health(self, gateway):
        channel = gateway.channel()
        self.addCleanup(channel.close)
        return channel.unary_stream("/grpc.health.v1.Health/Watch")(
            b"", timeout=harness.PATIENCE)

    def test_second_sigterm_ends_at_once_without_damage(self):
        gateway = self.gateway(config={
            "shutdown": {"timeout": "120s"},
            "webhook": {"request_timeout": "120s"}}).start()
        load = Load(gateway)
        self.addCleanup(load.stop)
        # Holds the draining up: it is waited for.
        half = HalfSent(gateway, harness.employee_body(1 << 31))
        self.addCleanup(half.close)
        wait_until_read(gateway, 1)
        load.wait_for(lambda l: len(l.accepted) >= 100, "100 accepted")
        gateway.program.signal(signal.SIGTERM)
        load.wait_for(lambda l: l.refused, "a refusal")
        self.assertIsNone(gateway.program.process.poll())
        begun = time.monotonic()
        gateway.program.signal(signal.SIGTERM)
        code = gateway.program.wait()
        self.assertLess(time.monotonic() - begun, 30)
        self.assertNotEqual(code, 0, "it was cut short")
        load.stop()

        gateway.start()
        log = {event.id: event.sequence
               for event in harness.list_all(gateway.stub())}
        self.assertEqual({**log, **load.accepted}, log)
        self.assertEqual(gateway.post(harness.employee_body(1 << 32))[0], 200)
        self.assertEqual(gateway.stop(), 0)

    def test_draining_ends_within_its_timeout_whatever_clients_do(self):
        gateway = self.gateway(config={
            "shutdown": {"timeout": "1s"},
            "webhook": {"request_timeout": "120s"}}).start()
        half = HalfSent(gateway, harness.employee_body(1))
        self.addCleanup(half.close)
        wait_until_read(gateway, 1)
        # A subscriber that never reads.
        channel = gateway.channel()
        self.addCleanup(channel.close)
        call = harness.api_grpc.EventServiceStub(channel).Subscribe(
            harness.api.SubscribeRequest(
                position=harness.api.START_POSITION_EARLIEST))
        self.addCleanup(call.cancel)
        harness.wait_until(
            lambda: gateway.metrics()["waggle_subscribers"] == 1, "stream")
        begun = time.monotonic()
        self.assertEqual(gateway.stop(), 0)
        self.assertLess(time.monotonic() - begun, 30)


if __name__ == "__main__":
    harness.main()
