"""Clients that share no code with the gateway: curl and openssl post, Python's
grpcio reads."""

import datetime
import subprocess

import grpc
import harness
from harness import api, ev

# What becomes of each sample: type, type_name, the field of `data`.
EXPECTED = {
    "data_modified": (ev.EVENT_TYPE_DATA_MODIFIED, "connector_data_modified",
                      "data_modified"),
    "employee_changed": (ev.EVENT_TYPE_EMPLOYEES_CHANGED,
                         "employee_data_changed", "employees_changed"),
    "older_shape_hook_key": (ev.EVENT_TYPE_EMPLOYEES_CHANGED,
                             "employee_data_changed", "employees_changed"),
    "older_shape_synced": (ev.EVENT_TYPE_SYNC_COMPLETED, "connector_synced",
                           "sync_status"),
    "sync_completed": (ev.EVENT_TYPE_SYNC_COMPLETED, "connector_synced",
                       "sync_status"),
    "sync_error": (ev.EVENT_TYPE_SYNC_FAILED, "connector_sync_error",
                   "sync_failure"),
    "sync_started": (ev.EVENT_TYPE_SYNC_STARTED, "connector_sync_started",
                     "sync_status"),
    "unknown_event": (ev.EVENT_TYPE_UNSPECIFIED, "connector_relinked",
                      "unrecognized"),
}


def openssl_signature(path, key=harness.KEY):
    digest = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", key, "-binary", path],
        capture_output=True, check=True).stdout
    text = subprocess.run(["openssl", "base64", "-A"], input=digest,
                          capture_output=True, check=True).stdout.decode()
    return text.replace("+", "-").replace("/", "_")


def curl(*args):
    """Runs curl; returns the final status, its headers and the body."""
    done = subprocess.run(
        ["curl", "-sS", "--max-time", str(harness.PATIENCE), "--noproxy", "*",
         "-i", *args], capture_output=True, check=True)
    rest = done.stdout
    while True:
        head, rest = rest.split(b"\r\n\r\n", 1)
        status_line, *lines = head.decode().split("\r\n")
        status = int(status_line.split(" ")[1])
        if status >= 200:
            break
    headers = {}
    for line in lines:
        name, value = line.split(":", 1)
        headers[name.lower()] = value.strip()
    return status, headers, rest


def curl_post(url, path, *args, signature=None):
    signature = signature or openssl_signature(path)
    return curl("-H", f"{harness.SIGNATURE_HEADER}: {signature}", "-H",
                "Content-Type: application/json", "--data-binary", f"@{path}",
                *args, url)


class InteropTest(harness.TestCase):

    def setUp(self):
        super().setUp()
        self.gw = self.gateway().start()
        self.channel = self.gw.channel()
        self.addCleanup(self.channel.close)
        self.stub = harness.api_grpc.EventServiceStub(self.channel)

    def post_samples(self):
        """Posts all samples; returns the answers by name, in order."""
        answers = {}
        for name in EXPECTED:
            path = harness.SAMPLES / f"{name}.json"
            status, headers, body = curl_post(self.gw.url, path)
            self.assertEqual(status, 200, body)
            self.assertEqual(headers["content-type"], "application/json")
            answers[name] = harness.json.loads(body)
        return answers

    def test_every_sample_comes_out_as_its_typed_event(self):
        self.assertEqual(harness.sample_names(), sorted(EXPECTED))
        call = self.stub.Subscribe(
            api.SubscribeRequest(include_payload=True),
            timeout=harness.PATIENCE)
        first = next(call)
        self.assertEqual(len(first.events), 0)
        self.assertNotEqual(first.cursor, "")
        answers = self.post_samples()

        events = []
        while len(events) < len(EXPECTED):
            events += next(call).events
        call.cancel()
        last_sequence = 0
        for (name, expected), event in zip(EXPECTED.items(), events):
            with self.subTest(name):
                event_type, type_name, data = expected
                self.assertEqual(event.type, event_type)
                self.assertEqual(event.type_name, type_name)
                self.assertEqual(event.WhichOneof("data"), data)
                self.assertEqual(event.endpoint, "bindbee")
                self.assertEqual(event.payload, harness.sample(name))
                self.assertEqual(event.id, answers[name]["id"])
                self.assertEqual(event.sequence, answers[name]["sequence"])
                self.assertFalse(answers[name]["duplicate"])
                self.assertGreater(event.sequence, last_sequence)
                last_sequence = event.sequence
                self.assertEqual(event.connector.org_name, "Acme Benefits")
                self.assertEqual(event.webhook.id,
                                 "4b0f6f0e-52f1-4c55-9a53-0a6c1f1f7a10")
        by_name = dict(zip(EXPECTED, events))
        self.assertEqual(by_name["employee_changed"].connector.end_user_name,
                         "Zoë Ångström — 東京")
        self.assertEqual(
            list(by_name["employee_changed"].employees_changed.employee_ids),
            ["0191a001-4444-7aaa-8bbb-0000000000e1",
             "0191a001-4444-7aaa-8bbb-0000000000e2"])
        self.assertEqual(by_name["sync_started"].sync.number, 13)
        self.assertEqual(by_name["sync_started"].sync_status.display_status,
                         ev.DISPLAY_STATUS_SYNCING)
        self.assertEqual(
            by_name["sync_error"].sync_failure.message,
            "The source system refused the stored credentials.")
        self.assertEqual(by_name["sync_error"].connector.status,
                         ev.CONNECTOR_STATUS_RELINK_NEEDED)
        self.assertFalse(
            by_name["sync_error"].connector.HasField("end_user_email"))
        self.assertEqual(
            {change.model: len(change.record_ids)
             for change in by_name["data_modified"].data_modified.changes},
            {"hris_bank_info": 1, "hris_employment": 2})
        self.assertEqual(
            by_name["unknown_event"].unrecognized.data["anything"][0], "goes")
        self.assertEqual(by_name["unknown_event"].connector.status_name,
                         "A_NEW_STATUS")

    def test_retry_is_answered_with_the_first_ones_id_and_stored_once(self):
        path = harness.SAMPLES / "data_modified.json"
        answers = [harness.json.loads(curl_post(self.gw.url, path)[2])
                   for _ in range(3)]
        self.assertEqual([a["duplicate"] for a in answers],
                         [False, True, True])
        self.assertEqual(len({(a["id"], a["sequence"]) for a in answers}), 1)
        self.assertEqual(len(harness.list_all(self.stub)), 1)

    def test_filters_choose_events(self):
        self.post_samples()
        syncs = {"older_shape_synced", "sync_completed", "sync_error",
                 "sync_started"}
        table = [
            ([dict(types=[ev.EVENT_TYPE_SYNC_FAILED])], {"sync_error"}),
            ([dict(type_names=["connector_relinked"])], {"unknown_event"}),
            ([dict(connector_ids=["0191a001-1111-7aaa-8bbb-00000000000a"])],
             {"sync_error"}),
            ([dict(origin_ids=["tenant_0077"])], {"sync_error"}),
            ([dict(integration_slugs=["workday"])], {"sync_error"}),
            ([dict(categories=[ev.CATEGORY_LMS])], {"sync_error"}),
            ([dict(models=["hris_bank_info", "no_such_model"])],
             {"data_modified"}),
            ([dict(sync_types=[ev.SYNC_TYPE_MANUAL])], {"sync_error"}),
            ([dict(connector_statuses=[
                ev.CONNECTOR_STATUS_RELINK_NEEDED])], {"sync_error"}),
            ([dict(endpoints=["bindbee"])], set(EXPECTED)),
            ([dict(endpoints=["other"])], set()),
            # Fields that are set must all match.
            ([dict(types=[ev.EVENT_TYPE_SYNC_COMPLETED],
                   integration_slugs=["bamboohr"])], {"sync_completed"}),
            # Any of the filters.
            ([dict(types=[ev.EVENT_TYPE_SYNC_STARTED,
                          ev.EVENT_TYPE_SYNC_COMPLETED]),
              dict(origin_ids=["tenant_0077"])], syncs),
            ([dict()], set(EXPECTED)),
            ([], set(EXPECTED)),
        ]
        by_payload = {harness.sample(name): name for name in EXPECTED}
        for fields, expected in table:
            with self.subTest(str(fields)):
                filters = [api.EventFilter(**field) for field in fields]
                events, _ = harness.replay(self.stub, filters=filters,
                                           include_payload=True)
                self.assertEqual({by_payload[e.payload] for e in events},
                                 expected)
                self.assertEqual(len(events), len(expected))
                listed = harness.list_all(self.stub, filters=filters,
                                          include_payload=True)
                self.assertEqual(listed, events)

    def test_stream_resumes_after_a_cursor_and_since_a_time(self):
        before = datetime.datetime.now(datetime.timezone.utc)
        self.post_samples()
        everything, end = harness.replay(self.stub)
        self.assertEqual(len(everything), len(EXPECTED))
        call = self.stub.Subscribe(
            api.SubscribeRequest(position=api.START_POSITION_EARLIEST,
                                 max_batch_size=3), timeout=harness.PATIENCE)
        seen = []
        while len(seen) < 3:
            response = next(call)
            seen += response.events
            self.assertLessEqual(len(response.events), 3)
        call.cancel()
        rest, _ = harness.replay(self.stub, after_cursor=response.cursor)
        self.assertEqual(seen + rest, everything)
        self.assertEqual(harness.replay(self.stub, after_cursor=end)[0], [])

        # ParseFrom tells nothing of time zones; the proto's helper does.
        request = api.SubscribeRequest(stop_when_caught_up=True)
        request.since.FromDatetime(before.replace(tzinfo=None))
        events = [event for response in self.stub.Subscribe(
            request, timeout=harness.PATIENCE) for event in response.events]
        self.assertEqual(events, everything)
        request.since.seconds += 3600
        events = [event for response in self.stub.Subscribe(
            request, timeout=harness.PATIENCE) for event in response.events]
        self.assertEqual(events, [])

    def test_silent_stream_gets_heartbeats(self):
        request = api.SubscribeRequest()
        request.heartbeat_interval.seconds = 1
        call = self.stub.Subscribe(request, timeout=harness.PATIENCE)
        for _ in range(3):
            response = next(call)
            self.assertEqual(len(response.events), 0)
            self.assertNotEqual(response.cursor, "")
        call.cancel()

    def test_pages_and_single_events(self):
        answers = self.post_samples()
        everything = harness.list_all(self.stub, page_size=3)
        self.assertEqual([event.id for event in everything],
                         [answer["id"] for answer in answers.values()])
        self.assertTrue(all(event.payload == b"" for event in everything))
        page = self.stub.ListEvents(api.ListEventsRequest(page_size=3))
        self.assertEqual(len(page.events), 3)
        rest, _ = harness.replay(self.stub, after_cursor=page.cursor)
        self.assertEqual(list(page.events) + rest, everything)

        event_id = answers["sync_error"]["id"]
        event = self.stub.GetEvent(
            api.GetEventRequest(id=event_id, include_payload=True)).event
        self.assertEqual(event.id, event_id)
        self.assertEqual(event.payload, harness.sample("sync_error"))

    def test_errors_say_what_is_wrong(self):
        self.post_samples()

        def subscribe(**kwargs):
            return lambda: self.stub.Subscribe(
                api.SubscribeRequest(**kwargs), timeout=harness.PATIENCE)

        def listing(**kwargs):
            return lambda: [self.stub.ListEvents(
                api.ListEventsRequest(**kwargs), timeout=harness.PATIENCE)]

        invalid = grpc.StatusCode.INVALID_ARGUMENT
        for text in ["x", "not a cursor", "A" * 5000, "ß"]:
            for call in subscribe(after_cursor=text), listing(
                    after_cursor=text):
                problem = harness.problem_of(call)
                self.assertEqual((problem.code, problem.reason),
                                 (invalid, "CURSOR_MALFORMED"), problem)

        second = api.EventFilter(types=[ev.EVENT_TYPE_SYNC_STARTED, 99])
        heartbeat = harness.api.SubscribeRequest()
        heartbeat.heartbeat_interval.nanos = 1
        table = [
            (subscribe(filters=[api.EventFilter(), second]),
             "filters[1].types[1]"),
            (listing(filters=[second]), "filters[0].types[1]"),
            (subscribe(filters=[api.EventFilter(models=["a", ""])]),
             "filters[0].models[1]"),
            (subscribe(filters=[api.EventFilter(
                categories=[ev.CATEGORY_UNSPECIFIED])]),
             "filters[0].categories[0]"),
            (subscribe(max_batch_size=100000), "max_batch_size"),
            (subscribe(position=17), "position"),
            (lambda: self.stub.Subscribe(heartbeat), "heartbeat_interval"),
            (lambda: [self.stub.GetEvent(api.GetEventRequest())], "id"),
        ]
        for call, field in table:
            with self.subTest(field):
                problem = harness.problem_of(call)
                self.assertEqual((problem.code, problem.reason),
                                 (invalid, "INVALID_ARGUMENT"), problem)
                violations = problem.details["BadRequest"].field_violations
                self.assertEqual([v.field for v in violations], [field])
                self.assertNotEqual(violations[0].description, "")

        problem = harness.problem_of(lambda: [self.stub.GetEvent(
            api.GetEventRequest(id="0191a001-4444-7aaa-8bbb-0000000000e1"))])
        self.assertEqual((problem.code, problem.reason),
                         (grpc.StatusCode.NOT_FOUND, "EVENT_NOT_FOUND"))

        token = self.stub.ListEvents(
            api.ListEventsRequest(page_size=1)).next_page_token
        problem = harness.problem_of(listing(
            page_token=token, filters=[api.EventFilter(models=["a"])]))
        self.assertEqual((problem.code, problem.reason),
                         (invalid, "PAGE_TOKEN_MALFORMED"), problem)

        other = self.gateway("other").start()
        other.post(harness.sample("sync_started"))
        _, cursor = harness.replay(other.stub())
        problem = harness.problem_of(subscribe(after_cursor=cursor))
        self.assertEqual(
            (problem.code, problem.reason),
            (grpc.StatusCode.FAILED_PRECONDITION, "CURSOR_STORE_MISMATCH"))

    def test_health_and_reflection(self):
        # Written by hand: a client that has only the wire format.
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        serving = b"\x08\x01"
        service = b"waggle.v1.EventService"
        harness.wait_until(lambda: check(b"") == serving, "SERVING")
        self.assertEqual(check(b"\x0a" + bytes([len(service)]) + service),
                         serving)
        list_services = b"\x3a\x01*"
        reflect = self.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        answer = next(reflect(iter([list_services])))
        self.assertIn(service, answer)
        self.assertIn(b"grpc.health.v1.Health", answer)

    def test_what_cannot_be_taken_is_refused_with_a_problem(self):
        path = harness.SAMPLES / "sync_started.json"
        large = self.directory / "large.json"
        large.write_bytes(b"x" * ((1 << 20) + 1))
        url = self.gw.url
        wrong_key = openssl_signature(path, key="another key")
        right = openssl_signature(path)
        header = harness.SIGNATURE_HEADER
        unsigned = ["--data-binary", f"@{path}"]
        table = [
            ("wrong signature", 401, lambda: curl_post(
                url, path, signature=wrong_key)),
            ("malformed signature", 401, lambda: curl_post(
                url, path, signature="%%%")),
            ("no signature", 401, lambda: curl(*unsigned, url)),
            ("two signatures", 401, lambda: curl_post(
                url, path, "-H", f"{header.lower()}: {right}")),
            ("signature of another body", 401, lambda: curl_post(
                url, harness.SAMPLES / "sync_error.json", signature=right)),
            ("unknown endpoint", 404, lambda: curl_post(url + "x", path)),
            ("unknown path", 404, lambda: curl(url.replace("webhooks", "w"))),
            ("other method", 405, lambda: curl(url)),
            ("too large", 413, lambda: curl_post(url, large)),
            ("too large in chunks", 413, lambda: curl_post(
                url, large, "-H", "Transfer-Encoding: chunked")),
            ("too many header bytes", 431, lambda: curl_post(
                url, path, "-H", "X-Filler: " + "x" * 20000)),
        ]
        bodies = {}
        for name, expected, call in table:
            with self.subTest(name):
                status, headers, body = call()
                self.assertEqual(status, expected)
                self.assertEqual(headers["content-type"],
                                 "application/problem+json")
                self.assertEqual(headers["connection"].lower(), "close")
                problem = harness.json.loads(body)
                self.assertEqual(problem["status"], expected)
                self.assertNotEqual(problem["title"], "")
                bodies.setdefault(status, set()).add(body)
                if status == 405:
                    self.assertEqual(headers["allow"], "POST")
        self.assertEqual(len(bodies[401]), 1, "401 tells cases apart")
        self.assertEqual(harness.list_all(self.stub), [])

    def test_chunked_body_is_taken(self):
        path = harness.SAMPLES / "sync_started.json"
        status, _, body = curl_post(self.gw.url, path, "-H",
                                    "Transfer-Encoding: chunked")
        self.assertEqual(status, 200, body)
        event, = harness.list_all(self.stub, include_payload=True)
        self.assertEqual(event.payload, path.read_bytes())

    def test_authentic_body_that_is_no_webhook_is_kept_as_it_is(self):
        path = self.directory / "body"
        for body in [b"not JSON", b"{}", b"\x00\xff", b'{"webhook":7}', b"[",
                     b""]:
            path.write_bytes(body)
            status, _, answer = curl_post(self.gw.url, path)
            self.assertEqual(status, 200, answer)
            event = self.stub.GetEvent(api.GetEventRequest(
                id=harness.json.loads(answer)["id"],
                include_payload=True)).event
            self.assertEqual(event.payload, body)
            self.assertEqual(event.type, ev.EVENT_TYPE_UNSPECIFIED)
            self.assertNotEqual(event.unrecognized.problem, "")


if __name__ == "__main__":
    harness.main()
