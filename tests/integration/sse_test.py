"""GET /v1/events: the stream of Subscribe as server-sent events, read by curl
and by Python's http.client."""

import contextlib
import json
import random
import re
import subprocess
import tempfile
import urllib.parse

import harness
from google.protobuf import json_format
from harness import api, ev

# A parameter, the field of EventFilter that it stands for, and values.
PARAMETERS = {
    "type": ("types", ["sync_started", "sync_completed", "sync_failed",
                       "employees_changed", "data_modified"]),
    "type_name": ("type_names", ["connector_synced", "connector_relinked",
                                 "nothing_has_it"]),
    "connector_id": ("connector_ids", ["c-0", "c-1", "c 2&=+", "c-9"]),
    "origin_id": ("origin_ids", ["tenant_0", "tenant_1", "ünïcode"]),
    "integration_slug": ("integration_slugs", ["bamboohr", "workday"]),
    "category": ("categories", ["hris", "ats"]),
    "model": ("models", ["hris_employment", "hris_bank_info"]),
    "sync_type": ("sync_types", ["automated", "manual"]),
    "connector_status": ("connector_statuses", ["complete", "relink_needed"]),
    "endpoint": ("endpoints", ["bindbee", "elsewhere"]),
}
ENUMS = {"types": "EVENT_TYPE", "categories": "CATEGORY",
         "sync_types": "SYNC_TYPE", "connector_statuses": "CONNECTOR_STATUS"}


class Stream:
    """One request, read block by block."""

    def __init__(self, gateway, query="", headers=None):
        self._connection = gateway.connect("admin")
        self._connection.request("GET", f"/v1/events?{query}",
                                 headers=headers or {})
        self.response = self._connection.getresponse()

    def close(self):
        self.response.close()
        self._connection.close()

    def blocks(self):
        """Each block as {field: value}, until the stream ends."""
        block = {}
        for line in iter(self.response.readline, b""):
            line = line.decode().rstrip("\n")
            if line:
                name, value = line.split(": ", 1)
                assert name not in block, line
                block[name] = value
            else:
                yield block
                block = {}
        assert not block, block

    def events(self):
        for block in self.blocks():
            if "data" in block:
                yield block


def replay(gateway, query="", headers=None):
    """The blocks of a bounded read from the start."""
    stream = Stream(gateway, f"from=earliest&stop_when_caught_up=true&{query}",
                    headers)
    with contextlib.closing(stream):
        assert stream.response.status == 200, stream.response.read()
        return list(stream.events())


def event_of(block):
    return json_format.Parse(block["data"], ev.Event())


def varied(rng, number):
    """A sample with its distinguishing values drawn at random."""
    body = json.loads(harness.sample(rng.choice(harness.sample_names())))
    connector = body.setdefault("connector", {})
    connector["id"] = rng.choice(["c-0", "c-1", "c 2&=+"])
    connector["origin_id"] = rng.choice(["tenant_0", "tenant_1", "ünïcode"])
    connector["integration_slug"] = rng.choice(["bamboohr", "workday"])
    connector["categories"] = rng.sample(["HRIS", "ATS", "LMS"],
                                         rng.randrange(3))
    connector["status"] = rng.choice(["COMPLETE", "RELINK_NEEDED"])
    sync = body.setdefault("sync", {})
    sync["id"] = f"sync-{number}"
    sync["type"] = rng.choice(["AUTOMATED", "MANUAL"])
    return json.dumps(body).encode()


def draw_filter(rng):
    """A filter as a query, and as an EventFilter."""
    pairs = []
    wanted = api.EventFilter()
    for name in rng.sample(sorted(PARAMETERS), rng.randrange(4)):
        field, values = PARAMETERS[name]
        for value in rng.sample(values, rng.randint(1, len(values))):
            pairs.append((name, value))
            getattr(wanted, field).append(
                getattr(ev, f"{ENUMS[field]}_{value.upper()}")
                if field in ENUMS else value)
    return urllib.parse.urlencode(pairs), wanted


class SseTest(harness.TestCase):

    def test_gives_what_grpc_gives(self):
        gateway = self.gateway().start()
        rng = random.Random(20261129)
        for number in range(150):
            status, _ = gateway.post(varied(rng, number))
            self.assertEqual(status, 200)
        stub = gateway.stub()
        matched = 0
        for _ in range(60):
            query, wanted = draw_filter(rng)
            filters = [wanted] if wanted.ByteSize() else []
            payload = rng.random() < 0.5
            expected, cursor = harness.replay(stub, filters=filters,
                                              include_payload=payload)
            blocks = replay(
                gateway, f"{query}&include_payload={str(payload).lower()}")
            self.assertEqual([event_of(block) for block in blocks], expected,
                             query)
            matched += len(expected)
            if blocks:
                # Doors take each other's cursors.
                self.assertEqual(
                    harness.replay(stub, filters=filters,
                                   after_cursor=blocks[-1]["id"])[0], [])
        self.assertGreater(matched, 500)

    def test_cloud_events_keep_the_rules(self):
        gateway = self.gateway().start()
        for name in harness.sample_names():
            gateway.post(harness.sample(name))
        plain = replay(gateway)
        blocks = replay(
            gateway,
            headers={"Accept": "text/event-stream, application/cloudevents+json"})
        self.assertEqual([b["id"] for b in blocks], [b["id"] for b in plain])
        for block, event in zip(blocks, map(event_of, plain)):
            cloud = json.loads(block["data"])
            for name, value in cloud.items():
                self.assertRegex(name, r"^[a-z0-9]{1,20}$")
                if name != "data":
                    self.assertIsInstance(value, str)
                    self.assertNotEqual(value, "")
            self.assertEqual(cloud["specversion"], "1.0")
            self.assertEqual(cloud["id"], event.id)
            self.assertEqual(cloud["source"], "/webhooks/bindbee")
            self.assertEqual(cloud["type"], "dev.bindbee." + event.type_name)
            self.assertRegex(cloud["time"],
                             r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
            self.assertEqual(cloud["sequence"], str(event.sequence))
            self.assertEqual(cloud["datacontenttype"], "application/json")
            self.assertEqual(
                json_format.ParseDict(cloud["data"], ev.Event()), event)

    def test_the_last_event_id_resumes_over_a_crash(self):
        gateway = self.gateway().start()
        rng = random.Random(7)
        seen = []
        last_id = None
        for round_number in range(3):
            headers = {"Last-Event-ID": last_id} if last_id else {}
            stream = Stream(gateway, "from=earliest", headers)
            for number in range(20):
                _, answer = gateway.post(varied(rng, (round_number, number)))
            # The last few are left for the next round.
            for block in stream.events():
                last_id = block["id"]
                seen.append(event_of(block).sequence)
                if seen[-1] >= answer["sequence"] - 3:
                    break
            gateway.kill()
            stream.close()
            gateway.start()
        rest = Stream(gateway, "stop_when_caught_up=true",
                      {"Last-Event-ID": last_id})
        seen += [event_of(block).sequence for block in rest.events()]
        rest.close()
        self.assertEqual(seen, [e.sequence
                                for e in harness.list_all(gateway.stub())])

    def test_curl_sees_events_as_they_come(self):
        gateway = self.gateway().start()
        curl = subprocess.Popen(
            ["curl", "-sSN", "--max-time", str(harness.PATIENCE), "--noproxy",
             "*", f"http://{gateway.addresses['admin']}/v1/events"],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(curl.stdout.close)
        self.addCleanup(curl.wait)
        self.addCleanup(curl.kill)
        while not curl.stdout.readline().startswith("id: "):
            pass
        for name in harness.sample_names()[:3]:
            _, answer = gateway.post(harness.sample(name))
            line = ""
            while not line.startswith("data: "):
                line = curl.stdout.readline()
            self.assertEqual(json.loads(line[6:])["id"], answer["id"])

    def test_draining_ends_streams_with_what_was_stored(self):
        gateway = self.gateway().start()
        stream = Stream(gateway, "from=earliest")
        blocks = stream.blocks()
        self.assertEqual(next(blocks), {"retry": "1000"})
        _, answer = gateway.post(harness.sample("sync_completed"))
        self.assertEqual(gateway.stop(), 0)
        rest = [block for block in blocks if "data" in block]
        stream.close()
        self.assertEqual(event_of(rest[0]).id, answer["id"])
        self.assertEqual(rest[1]["event"], "error")
        self.assertEqual(json.loads(rest[1]["data"])["reason"],
                         "STREAM_ROTATED")
        self.assertEqual(len(rest), 2)

    def test_clients_that_do_not_read_hold_little(self):
        gateway = self.gateway().start()
        body = json.loads(harness.sample("unknown_event"))
        body["data"] = {"filler": "x" * 400_000}
        for number in range(100):
            body["sync"] = {"id": str(number)}
            status, _ = gateway.post(json.dumps(body).encode())
            self.assertEqual(status, 200)

        def resident():
            with open(f"/proc/{gateway.program.pid}/status") as status:
                return int(re.search(r"VmRSS:\s+(\d+) kB",
                                     status.read()).group(1)) << 10

        before = resident()
        silent = [Stream(gateway, "from=earliest&include_payload=true")
                  for _ in range(30)]
        # 40 MiB for each would be 1.2 GiB.
        self.assertEqual(len(replay(gateway)), 100)
        self.assertLess(resident() - before, 300 << 20)
        for stream in silent:
            stream.close()
        harness.wait_until(
            lambda: gateway.metrics()["waggle_subscribers"] == 0,
            "the streams of clients that went to be gone")


if __name__ == "__main__":
    harness.main()
