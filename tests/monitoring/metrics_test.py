"""The metrics: those that alerts and dashboard use, that the runbook explains
and that the real binary exports are the same."""

import collections
import re
import secrets

import grpc
import harness
import monitoring
import security_test
from harness import api

# Every label there may be, and what bounds its values.
LABELS = {
    "code": "gRPC's status codes",
    "endpoint": "the configuration",
    "files": "the configuration",
    "key": "the configuration",
    "le": "buckets in the code",
    "listener": "webhook, grpc, admin",
    "method": "the services",
    "principal": "the access file",
    "reason": "the gate's reasons",
    "result": "what can become of a webhook",
    "type": "the events that Bindbee is known to send",
    "version": "one",
}
# What Prometheus adds to every series of a target.
TARGET_LABELS = {"job", "instance", "namespace"}
# What Prometheus itself says of a target.
TARGET_METRICS = {"up"}


class Exposition:
    """What /metrics says."""

    def __init__(self, text):
        self.text = text
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text,
                                     re.MULTILINE))
        # {family: {label: {value, ...}}}
        self.labels = {name: collections.defaultdict(set)
                       for name in self.types}
        for series in harness.parse_metrics(text):
            name, _, labels = series.partition("{")
            family = self.family(name)
            for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"',
                                           labels):
                self.labels[family][label].add(value)

    def family(self, name):
        """The family that has series of this name; None if there is none."""
        if name in self.types:
            return name
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        if self.types.get(family) == "histogram":
            return family
        return None


def provoke(secure):
    """Makes every family of metrics appear; returns the last exposition."""
    owner = security_test.bearer(secure.token)
    stub = secure.stub()
    call = stub.Subscribe(api.SubscribeRequest(
        position=api.START_POSITION_EARLIEST), metadata=owner)
    next(call)
    body = harness.employee_body(1)
    assert secure.post(body)[0] == 200
    assert secure.post(body)[0] == 200
    assert secure.post(harness.employee_body(2), key="another key")[0] == 401
    while not next(call).events:
        pass
    stub.ListEvents(api.ListEventsRequest(), metadata=owner,
                    timeout=harness.PATIENCE)
    problem = security_test.list_problem(stub)
    assert problem.reason == "CREDENTIALS_MISSING", problem
    # Gauges of the store and of clients are refreshed once a second.
    harness.wait_until(
        lambda: all(f'{name}{{principal="full"}} 0' in secure.metrics_text()
                    for name in ("waggle_client_lag_events",
                                 "waggle_client_lag_seconds")),
        "the client's lag")
    exposition = Exposition(secure.metrics_text())
    call.cancel()
    return exposition


class Secure(security_test.SecureGateway):

    def metrics_text(self):
        status, text = self.gateway.get("/metrics")
        assert status == 200, text
        return text


class MetricsTest(harness.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # One gateway for all tests, which only look.
        owner = harness.TestCase()
        cls.addClassCleanup(owner.doCleanups)
        owner.setUp()
        cls.secure = Secure(owner)
        cls.exposition = provoke(cls.secure)

    def check_query(self, expression, text, recorded=frozenset()):
        """What the expression names is exported, its labels' values, too;
        `text` names only labels that its result can have."""
        query = monitoring.Query(expression)
        self.assertTrue(query.selectors, expression)
        own = set()
        for metric, matchers in query.selectors.items():
            if metric in TARGET_METRICS | recorded:
                continue
            family = self.exposition.family(metric)
            self.assertIsNotNone(family, f"{metric} is not exported")
            labels = self.exposition.labels[family]
            own |= set(labels)
            for label, _, value in matchers:
                if label in TARGET_LABELS:
                    continue
                self.assertIn(label, labels, metric)
                for alternative in value.split("|"):
                    if label in ("result", "code") and alternative:
                        self.assertIn(alternative, labels[label], metric)
        if recorded & set(query.selectors):
            own = set(LABELS)
        self.assertLessEqual(query.grouped, own | TARGET_LABELS)
        self.assertLessEqual(set(re.findall(r"\$labels\.(\w+)", text)) |
                             set(re.findall(r"\{\{(\w+)\}\}", text)),
                             own | TARGET_LABELS)

    def test_alerts_use_what_is_exported(self):
        recorded = {rule["record"] for rule in monitoring.rules()
                    if "record" in rule}
        for rule in monitoring.rules():
            with self.subTest(rule.get("alert") or rule.get("record")):
                self.check_query(rule["expr"], str(rule.get("annotations")),
                                 recorded)

    def test_dashboard_uses_what_is_exported(self):
        for panel in monitoring.panels():
            with self.subTest(panel["title"]):
                for target in panel["targets"]:
                    self.check_query(target["expr"], target["legendFormat"])

    def test_dashboard_shows_every_metric(self):
        shown = set()
        for panel in monitoring.panels():
            for target in panel["targets"]:
                shown |= {self.exposition.family(metric) for metric
                          in monitoring.Query(target["expr"]).selectors}
        self.assertLessEqual(set(self.exposition.types), shown)

    def test_runbook_explains_every_metric(self):
        rows = re.findall(r"^\| `([a-z_]+)(?:\{([a-z_,]+)\})?` \|",
                          monitoring.RUNBOOK.read_text(), re.MULTILINE)
        explained = {name: set(labels.split(",")) - {""}
                     for name, labels in rows
                     if name.startswith(("waggle_", "process_"))}
        exported = {name: set(labels) - {"le"}
                    for name, labels in self.exposition.labels.items()}
        self.assertEqual(explained, exported)

    def test_promtool_has_nothing_to_say(self):
        done = monitoring.promtool("check", "metrics",
                                   stdin=self.exposition.text)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_labels_are_bounded(self):
        for name, labels in self.exposition.labels.items():
            self.assertLessEqual(set(labels), set(LABELS), name)

    def test_strangers_make_no_series(self):
        def series():
            return {name for name
                    in harness.parse_metrics(self.secure.metrics_text())
                    if not re.search(r'result=|code=|reason=', name)}

        before = series()
        mark = secrets.token_hex(8)
        connection = self.secure.connect()
        self.addCleanup(connection.close)
        status, _ = self.secure.gateway.post(
            b"{}", path=f"/webhooks/{mark}", connection=connection)
        self.assertEqual(status, 404)
        channel = self.secure.channel()
        for method in (f"/waggle.v1.EventService/{mark}", f"/{mark}/Call"):
            with self.assertRaises(grpc.RpcError):
                channel.unary_unary(method)(b"", timeout=harness.PATIENCE)
        with self.assertRaises(grpc.RpcError):
            self.secure.stub().ListEvents(
                api.ListEventsRequest(), metadata=security_test.bearer(mark),
                timeout=harness.PATIENCE)
        self.assertEqual(series() - before, set())
        self.assertNotIn(mark, self.secure.metrics_text())


if __name__ == "__main__":
    monitoring.main()
