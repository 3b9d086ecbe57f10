"""No key, no signature and no personal data in any log."""

import json

import harness

NAME = "Ottoline Quarterwhistle"
EMAIL = "ottoline.quarterwhistle@private.example"
MALFORMED_SIGNATURE = "this_is_no_signature_but_stays_private"
FOREIGN_KEY = "whsec_of_somebody_else_77aa"


def personal_body(number):
    body = json.loads(harness.employee_body(number))
    body["connector"]["end_user_name"] = NAME
    body["connector"]["end_user_email"] = EMAIL
    return json.dumps(body).encode()


class LogsTest(harness.TestCase):

    def drive(self, gateway):
        """Good, bad and malformed webhooks, and readers of them. Returns how
        many webhooks that were, and what must not be found."""
        header = harness.SIGNATURE_HEADER
        good = personal_body(1)
        torn = good[:-20]
        failed = json.loads(harness.sample("sync_error"))
        failed["connector"]["end_user_email"] = EMAIL
        failed["data"] = {"end_user_name": NAME, "nested": [EMAIL]}
        failed = json.dumps(failed).encode()
        unknown = personal_body(2).replace(b"employee_data_changed",
                                           b"never_heard_of")
        requests = [
            (200, good, {}),
            (200, good, {}),
            (200, torn, {}),
            (200, failed, {}),
            (200, unknown, {}),
            (401, personal_body(3), {header: harness.sign(b"", FOREIGN_KEY)}),
            (401, personal_body(4), {header: MALFORMED_SIGNATURE}),
            (401, personal_body(5), {header: ""}),
            (413, personal_body(6) + b" " * (1 << 20), {}),
            (400, personal_body(7), {"Transfer-Encoding": "gzip"}),
            (431, personal_body(8), {"X-Filler": "x" * 20000}),
        ]
        secrets = {harness.KEY, FOREIGN_KEY, NAME, EMAIL, MALFORMED_SIGNATURE,
                   harness.sign(b"", FOREIGN_KEY)}
        for expected, body, headers in requests:
            secrets.add(harness.sign(body))
            status, _ = gateway.post(body, headers=headers)
            self.assertEqual(status, expected, body[:100])
        status, _ = gateway.post(good, path="/webhooks/other")
        self.assertEqual(status, 404)

        stub = gateway.stub()
        events, _ = harness.replay(stub, include_payload=True)
        self.assertEqual(len(events), 4)
        self.assertEqual(events[0].connector.end_user_email, EMAIL)
        harness.problem_of(lambda: stub.Subscribe(harness.api.SubscribeRequest(
            after_cursor="x", filters=[
                harness.api.EventFilter(origin_ids=[EMAIL])])))
        gateway.metrics()
        return len(requests) + 1, secrets

    def assert_none_of(self, secrets, text):
        self.assertNotEqual(text, "")
        for secret in secrets:
            self.assertNotIn(secret, text)

    def test_logs_at_debug_tell_nothing_private(self):
        for log_format in "json", "text":
            with self.subTest(log_format):
                gateway = self.gateway(log_format, config={
                    "log": {"level": "debug", "format": log_format}}).start()
                _, secrets = self.drive(gateway)
                metrics = gateway.get("/metrics")[1]
                self.assertEqual(gateway.stop(), 0)
                output = (gateway.program.out.text() + "\n" +
                          gateway.program.err.text())
                self.assertIn("never_heard_of", output)
                self.assert_none_of(secrets, output)
                self.assert_none_of(secrets, metrics)

    def test_answers_tell_nothing_private(self):
        gateway = self.gateway().start()
        body = personal_body(1)
        for headers in {}, {harness.SIGNATURE_HEADER: MALFORMED_SIGNATURE}:
            _, answer = gateway.post(body, headers=headers)
            self.assert_none_of([harness.KEY, NAME, EMAIL, harness.sign(body),
                                 MALFORMED_SIGNATURE], json.dumps(answer))

    def test_at_info_each_webhook_is_one_line(self):
        gateway = self.gateway().start()
        before = len(gateway.log_objects())
        count, _ = self.drive(gateway)
        gateway.program.err.wait_for(
            lambda lines: sum('"event":"webhook"' in l for l in lines) >= count,
            f"{count} lines of webhooks")
        lines = gateway.log_objects()[before:]
        self.assertEqual([line["event"] for line in lines],
                         ["webhook"] * count)
        self.assertEqual(
            [line["status"] for line in lines],
            [200, 200, 200, 200, 200, 401, 401, 401, 413, 400, 431, 404])
        first, again = lines[:2]
        self.assertEqual((first["result"], again["result"]),
                         ("accepted", "duplicate"))
        self.assertEqual(first["id"], again["id"])
        self.assertEqual(first["type"], "employee_data_changed")
        self.assertEqual(first["endpoint"], "bindbee")


if __name__ == "__main__":
    harness.main()
