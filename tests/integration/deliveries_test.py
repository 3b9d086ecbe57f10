"""Every request to the webhook door leaves a record of what became of it, and
strangers cannot make more of that than the settings allow."""

import http.client
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import threading

import harness

MIB = 1 << 20

NAME = "Ottoline Quarterwhistle"
EMAIL = "ottoline.quarterwhistle@private.example"
FOREIGN_KEY = "whsec_of_somebody_else_77aa"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

# 50,000 where nothing slows the program down.
FLOOD = 2500 * int(os.environ.get("WAGGLE_TEST_ROUNDS", "20"))
FLOODERS = 4

# How often retention looks (docs/OPERATIONS.md), and how long a record can be
# at the very most, with its places in indexes.
TRIM_SECONDS = 10
RECORD_BYTES = 1024
# What the write-ahead log may hold beside the data.
WAL_BYTES = 64 * MIB


def outcome(name):
    return harness.delivery_pb2.DeliveryOutcome.Value(
        f"DELIVERY_OUTCOME_{name.upper()}")


def personal_body(number):
    body = json.loads(harness.employee_body(number))
    body["connector"]["end_user_name"] = NAME
    body["connector"]["end_user_email"] = EMAIL
    return json.dumps(body).encode()


def size_on_disk(gateway):
    return sum(path.stat().st_size for path in gateway.data_path.iterdir())


def wait_for_records(gateway, count):
    return harness.wait_until(
        lambda: (rows := gateway.deliveries()) and len(rows) >= count and rows,
        f"{count} records")


def refused_total(metrics):
    return sum(value for name, value in metrics.items()
               if name.startswith("waggle_webhook_requests_total")
               and 'result="accepted"' not in name
               and 'result="duplicate"' not in name)


def flood(address, requests, number):
    """Sends as many requests, which nobody signed, one a connection."""
    host, port = address.rsplit(":", 1)
    body = b"{}"
    wrong = harness.sign(body, FOREIGN_KEY)
    heads = [f"POST /webhooks/bindbee HTTP/1.1\r\nHost: {host}\r\n"
             f"Content-Length: {len(body)}\r\n{signature}\r\n".encode()
             for signature in ("", f"{harness.SIGNATURE_HEADER}: {wrong}\r\n")]
    for i in range(requests):
        # Many addresses, so that no client port is used again too soon.
        with socket.create_connection(
                (host, int(port)), harness.PATIENCE,
                source_address=(f"127.{number + 1}.0.{i % 200 + 1}", 0)
        ) as connection:
            connection.sendall(heads[i % 2] + body)
            answer = connection.recv(4096)
            if not answer.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 429 ")):
                raise AssertionError(answer)


class DeliveriesTest(harness.TestCase):

    def raw(self, gateway, request):
        """The status that the bytes are answered with."""
        host, port = gateway.addresses["webhook"].rsplit(":", 1)
        with socket.create_connection((host, int(port)),
                                      harness.PATIENCE) as connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            response.read()
            return response.status

    def test_each_outcome_leaves_its_record(self):
        gateway = self.gateway(config={
            "webhook": {"request_timeout": "2s", "max_failures_per_minute": 1},
            "shutdown": {"linger": "5s"}}).start()
        body = personal_body(1)
        head = b"POST /webhooks/bindbee HTTP/1.1\r\nHost: localhost\r\n"
        status, first = gateway.post(body, headers={
            "traceparent": TRACEPARENT})
        self.assertEqual(status, 200)
        self.assertEqual(gateway.post(body)[0], 200)
        self.assertEqual(gateway.post(body, key=FOREIGN_KEY)[0], 401)
        self.assertEqual(gateway.post(body, key=FOREIGN_KEY)[0], 429)
        self.assertEqual(gateway.post(body, path="/webhooks/other")[0], 404)
        self.assertEqual(self.raw(gateway, head.replace(b"POST", b"PUT") +
                                  b"\r\n"), 405)
        self.assertEqual(self.raw(
            gateway, head + b"Content-Length: 9999999\r\n\r\n"), 413)
        self.assertEqual(self.raw(
            gateway, head + b"A: " + b"a" * 9000 + b"\r\n\r\n"), 431)
        self.assertEqual(self.raw(gateway, head + b"Host: b\r\n\r\n"), 400)
        self.assertEqual(self.raw(gateway, head + b"A"), 408)
        gateway.program.signal(signal.SIGTERM)
        harness.wait_until(lambda: gateway.post(body)[0] == 503, "draining")

        self.assertEqual(gateway.program.wait(), 0)

        # Before it was draining, more duplicates may have been taken.
        rows = gateway.start().deliveries()
        rows = rows[:10] + rows[-1:]
        self.assertEqual(
            [(row.outcome, row.http_status) for row in rows],
            [(outcome(name), status) for name, status in (
                ("accepted", 200), ("duplicate", 200),
                ("unauthenticated", 401), ("throttled", 429),
                ("not_found", 404), ("method_not_allowed", 405),
                ("too_large", 413), ("header_too_large", 431),
                ("malformed", 400), ("timeout", 408), ("draining", 503))])
        accepted, duplicate = rows[:2]
        refused = rows[2:]

        for row in rows:
            self.assertEqual(row.remote_address, "127.0.0.1")
            self.assertRegex(row.traceparent,
                             "^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$")
            self.assertEqual(row.unrecorded_before, 0)
            if row.outcome == outcome("not_found"):
                self.assertEqual((row.endpoint, row.path),
                                 ("", "/webhooks/other"))
            else:
                self.assertEqual((row.endpoint, row.path),
                                 ("bindbee", ""))
        for row in accepted, duplicate:
            self.assertEqual(row.sequence, first["sequence"])
            self.assertEqual(row.size_bytes, len(body))
            self.assertEqual(row.type_name, "employee_data_changed")
            self.assertEqual(row.connector_id,
                             json.loads(body)["connector"]["id"])
            self.assertRegex(row.key_fingerprint, "^[0-9a-f]{12}$")
            self.assertTrue(row.HasField("read_duration"))
            self.assertTrue(row.HasField("verify_duration"))
        self.assertEqual(accepted.traceparent, TRACEPARENT)
        self.assertNotEqual(duplicate.traceparent, TRACEPARENT)
        for row in refused:
            self.assertEqual(row.sequence, 0)
            self.assertEqual(row.key_fingerprint, "")
            self.assertEqual(row.type_name, "")
            self.assertEqual(row.connector_id, "")
        read_to_the_end = {outcome("unauthenticated"), outcome("throttled")}
        for row in refused:
            read = row.outcome in read_to_the_end
            self.assertEqual(row.HasField("read_duration"), read)
            self.assertEqual(row.HasField("verify_duration"), read)
            if read:
                self.assertEqual(row.size_bytes, len(body))

        # Nothing private, however it is written.
        everything = " ".join(str(row) for row in rows)
        for private in (NAME, EMAIL, harness.KEY, FOREIGN_KEY,
                        harness.sign(body), harness.sign(body, FOREIGN_KEY)):
            self.assertNotIn(private, everything)

    def test_the_event_and_the_log_line_name_the_same_trace(self):
        gateway = self.gateway().start()
        gateway.post(harness.employee_body(1),
                     headers={"traceparent": TRACEPARENT})
        gateway.post(harness.employee_body(2),
                     headers={"traceparent": TRACEPARENT.upper()})
        first, second = harness.list_all(gateway.stub())
        self.assertEqual(first.traceparent, TRACEPARENT)
        self.assertRegex(second.traceparent,
                         "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$")
        lines = [line for line in gateway.log_objects()
                 if line["event"] == "webhook"]
        rows = wait_for_records(gateway, 2)
        for event, line, row in zip((first, second), lines, rows):
            self.assertEqual(line["trace"], event.traceparent[3:35])
            self.assertEqual(row.traceparent, event.traceparent)

    def test_behind_a_trusted_proxy_clients_are_told_apart(self):
        gateway = self.gateway(config={"webhook": {
            "trusted_proxies": ["127.0.0.0/8"],
            "max_failures_per_minute": 1}}).start()
        body = harness.employee_body(1)
        for client, status in (("192.0.2.1", 401), ("192.0.2.1", 429),
                               ("192.0.2.2", 401)):
            self.assertEqual(gateway.post(body, key=FOREIGN_KEY, headers={
                "X-Forwarded-For": f"198.51.100.9, {client}"})[0], status)
        self.assertEqual(gateway.post(body, headers={
            "X-Forwarded-For": "2001:db8::1, 127.0.0.9"})[0], 200)
        rows = wait_for_records(gateway, 4)
        self.assertEqual([row.remote_address for row in rows],
                         ["192.0.2.1", "192.0.2.1", "192.0.2.2",
                          "2001:db8::1"])

    def test_connections_and_handshakes_that_are_refused_have_records(self):
        certificate = self.directory / "tls.crt"
        key = self.directory / "tls.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=waggle",
             "-keyout", key, "-out", certificate],
            check=True, capture_output=True)
        key.chmod(0o600)
        tls = self.gateway("tls", config={"webhook": {"tls": {
            "certificate_file": str(certificate),
            "key_file": str(key)}}}).start()
        host, port = tls.addresses["webhook"].rsplit(":", 1)
        with socket.create_connection((host, int(port)),
                                      harness.PATIENCE) as plain:
            plain.sendall(b"POST /webhooks/bindbee HTTP/1.1\r\n\r\n")
            plain.recv(1024)
        [row] = wait_for_records(tls, 1)
        self.assertEqual((row.outcome, row.http_status),
                         (outcome("handshake_failed"), 0))

        crowded = self.gateway("crowded", config={
            "webhook": {"max_connections": 1}}).start()
        held = crowded.connect()
        self.addCleanup(held.close)
        self.assertEqual(crowded.post(harness.employee_body(1),
                                      connection=held)[0], 200)
        self.assertEqual(self.raw(crowded, b""), 503)
        row = wait_for_records(crowded, 2)[1]
        self.assertEqual((row.outcome, row.http_status),
                         (outcome("overloaded"), 503))

    def test_a_flood_leaves_the_disk_bounded_and_signed_deliveries_taken(self):
        max_records, per_second = 1000, 200
        gateway = self.gateway(config={"deliveries": {
            "max_refused_records": max_records,
            "max_refused_per_second": per_second}}).start()
        gateway.post(harness.employee_body(0))
        before = size_on_disk(gateway)
        flooders = [multiprocessing.get_context("fork").Process(
            target=flood, args=(gateway.addresses["webhook"],
                                FLOOD // FLOODERS, number))
            for number in range(FLOODERS)]
        for flooder in flooders:
            flooder.start()
        over = threading.Event()

        def wait_for_flooders():
            for flooder in flooders:
                flooder.join()
            over.set()

        threading.Thread(target=wait_for_flooders, daemon=True).start()
        largest = 0
        signed = 1
        while not over.wait(0.02):
            self.assertEqual(gateway.post(harness.employee_body(signed))[0],
                             200)
            signed += 1
            largest = max(largest, size_on_disk(gateway))
        self.assertEqual([flooder.exitcode for flooder in flooders],
                         [0] * FLOODERS)
        self.assertGreater(signed, 1)

        # What may be there between two looks of retention, doubled since
        # looking takes its time, too; and the signed ones with their events.
        kept = max_records + 2 * TRIM_SECONDS * per_second
        bound = RECORD_BYTES * kept + 8 * RECORD_BYTES * signed
        self.assertLess(largest - before, bound + WAL_BYTES)
        metrics = gateway.metrics()
        self.assertEqual(refused_total(metrics), FLOOD)
        self.assertGreater(metrics["waggle_deliveries_unrecorded_total"], 0)

        def trimmed():
            rows = [row for row in gateway.deliveries()
                    if not row.sequence]
            return rows if len(rows) <= max_records else None

        refused = harness.wait_until(trimmed, "records to be removed")
        self.assertGreater(sum(row.unrecorded_before for row in refused), 0)
        accepted = [row for row in gateway.deliveries()
                    if row.outcome == outcome("accepted")]
        self.assertEqual(len(accepted), signed)
        self.assertEqual(gateway.stop(), 0)
        after = size_on_disk(gateway)
        print(f"{signed} signed deliveries beside {FLOOD} unsigned; the data "
              f"grew by {(largest - before) // 1024} KiB at most, and by "
              f"{(after - before) // 1024} KiB in the end, of "
              f"{bound // 1024} KiB", flush=True)
        self.assertLess(after - before, bound)


if __name__ == "__main__":
    harness.main()
