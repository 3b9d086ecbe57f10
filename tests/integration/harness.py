"""What the integration tests share: the real binary and its clients.

A test drives the program that CMake built from outside, as its users do: by
processes, signals, HTTP and gRPC. The gRPC client is Python's grpcio, with
stubs that are generated from proto/ when a test starts.

    gateway = harness.Gateway(directory).start()
    status, answer = gateway.post(body)
    for response in gateway.stub().Subscribe(request): ...

Each gateway has ports of the system's choice and a directory of its own, so
tests run beside each other. Nothing here waits by sleeping, but for conditions
that only asking again can show (wait_until).

Environment: WAGGLE_TEST_BINARY is the program.
"""

import atexit
import base64
import functools
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

# Before grpc is loaded: its handlers around fork() serve programs that go on
# using gRPC in the child, which these do not.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import google  # noqa: E402
import grpc  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ["WAGGLE_TEST_BINARY"]
SAMPLES = SOURCE / "src" / "bindbee" / "samples"

KEY = "whsec_integration_5d1f0c9b7a"
DEMO_KEY = "whsec_demo_3f9c0a7e5b"
SIGNATURE_HEADER = "X-Bindbee-Webhook-Signature"

# Ample for a sanitised binary on a busy machine; only a failure waits so long.
PATIENCE = 60


def _generate_stubs():
    """Makes the Python stubs of proto/, and puts them on the path."""
    out = tempfile.mkdtemp(prefix="waggle-stubs-")
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    roots = [SOURCE / "proto", SOURCE / "third_party" / "googleapis"]
    files = [
        "waggle/v1/delivery.proto",
        "waggle/v1/delivery_service.proto",
        "waggle/v1/event.proto",
        "waggle/v1/event_service.proto",
        "google/rpc/error_details.proto",
        "google/rpc/status.proto",
    ]
    subprocess.run(
        ["protoc", *(f"-I{root}" for root in roots), f"--python_out={out}",
         f"--grpc_out={out}",
         f"--plugin=protoc-gen-grpc={shutil.which('grpc_python_plugin')}",
         *files], check=True)
    sys.path.insert(0, out)
    google.__path__.append(os.path.join(out, "google"))


_generate_stubs()

from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from waggle.v1 import delivery_pb2  # noqa: E402
from waggle.v1 import delivery_service_pb2  # noqa: E402
from waggle.v1 import delivery_service_pb2_grpc  # noqa: E402
from waggle.v1 import event_pb2 as ev  # noqa: E402
from waggle.v1 import event_service_pb2 as api  # noqa: E402
from waggle.v1 import event_service_pb2_grpc as api_grpc  # noqa: E402


def sample(name):
    """The bytes of a sample webhook."""
    return (SAMPLES / f"{name}.json").read_bytes()


def sample_names():
    return sorted(path.stem for path in SAMPLES.glob("*.json"))


def sign(body, key=KEY):
    digest = hmac.new(key.encode(), body, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()


def wait_until(condition, what, timeout=PATIENCE):
    """Asks until the condition holds, and returns what it returned."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain: {what}")
        time.sleep(0.05)


def environment(extra=None):
    """The environment for a program under test: nothing of the test's own."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith("WAGGLE_")}
    env.update(extra or {})
    return env


def run(*args, cwd=None, env=None, stdin=b"", timeout=PATIENCE):
    """Runs `waggle ...` to its end; stdout and stderr are text."""
    done = subprocess.run([BINARY, *map(str, args)], cwd=cwd,
                          env=environment(env), input=stdin,
                          capture_output=True, timeout=timeout, check=False)
    done.stdout = done.stdout.decode()
    done.stderr = done.stderr.decode()
    return done


class Lines:
    """The lines of a pipe, collected by a thread as they come; if `paused`,
    only once resume() is called, or never after close()."""

    def __init__(self, pipe, paused=False):
        self._resumed = threading.Event()
        if not paused:
            self._resumed.set()
        self._closed = False
        self._changed = threading.Condition()
        self._lines = []
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(pipe,),
                                        daemon=True)
        self._thread.start()

    def resume(self):
        self._resumed.set()

    def close(self):
        """Closes a paused pipe without reading it."""
        self._closed = True
        self._resumed.set()
        self._thread.join()

    def _read(self, pipe):
        self._resumed.wait()
        for line in () if self._closed else pipe:
            with self._changed:
                self._lines.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        pipe.close()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def all(self):
        with self._changed:
            return list(self._lines)

    def text(self):
        return "\n".join(self.all())

    def wait_for(self, predicate, what, timeout=PATIENCE):
        """Waits until predicate(lines) gives something true; returns it."""
        result = None

        def holds():
            nonlocal result
            result = predicate(self._lines)
            return result or self._ended

        with self._changed:
            self._changed.wait_for(holds, timeout)
            if not result:
                raise AssertionError(
                    f"no {what} in:\n" + "\n".join(self._lines[-200:]))
        return result

    def wait_for_end(self, timeout=PATIENCE):
        self._thread.join(timeout)


class Program:
    """`waggle ...` as it runs. `command` is how it is called, if not by its
    path. If `paused`, nobody reads its standard output before out.resume()."""

    def __init__(self, *args, cwd=None, env=None, descriptors=None,
                 command=(BINARY,), stdin=subprocess.DEVNULL, paused=False):
        limit = None if descriptors is None else functools.partial(
            resource.setrlimit, resource.RLIMIT_NOFILE,
            (descriptors, descriptors))
        self.process = subprocess.Popen([*command, *map(str, args)], cwd=cwd,
                                        env=environment(env),
                                        preexec_fn=limit,
                                        stdin=stdin,
                                        stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.out = Lines(self.process.stdout, paused)
        self.err = Lines(self.process.stderr)

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=PATIENCE):
        """Waits for the end; returns the exit code, or -signal."""
        code = self.process.wait(timeout)
        self.out.wait_for_end()
        self.err.wait_for_end()
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.out.resume()
        self.wait()


class Gateway:
    """A gateway, which can be started again and again on the same data.

    `config` is laid over the harness's own; sections are merged. `env` is added
    to the program's environment. `descriptors` is the most that it may open.
    `binary` is the program, which may be another at the next start.
    """

    def __init__(self, directory, config=None, env=None, descriptors=None,
                 binary=BINARY):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.config_path = self.directory / "waggle.yaml"
        self.data_path = self.directory / "data"
        self._env = env
        self._descriptors = descriptors
        self.binary = binary
        self.program = None
        self.addresses = {}
        key_path = self.directory / "bindbee.key"
        key_path.touch(mode=0o600)
        key_path.write_text(KEY + "\n")
        settings = {
            "webhook": {
                "listen": "127.0.0.1:0",
                "endpoints": [{"name": "bindbee",
                               "signing_key_files": [str(key_path)]}],
            },
            "grpc": {"listen": "127.0.0.1:0"},
            "admin": {"listen": "127.0.0.1:0"},
            "store": {"path": str(self.data_path)},
            "log": {"format": "json"},
        }
        for section, values in (config or {}).items():
            settings.setdefault(section, {}).update(values)
        # JSON is YAML.
        self.config_path.write_text(json.dumps(settings, indent=2))

    def launch(self):
        """Starts the process and does not wait for it."""
        self.program = Program("serve", "--config", self.config_path,
                               cwd=self.directory, env=self._env,
                               descriptors=self._descriptors,
                               command=(self.binary,))
        return self

    def start(self):
        """Starts, and returns once all doors are open."""
        self.launch()
        self.addresses = wait_for_doors(self.program)
        return self

    def stop(self):
        """Ends it the polite way; returns the exit code."""
        self.program.signal(signal.SIGTERM)
        return self.program.wait()

    def kill(self):
        if self.program is not None:
            self.program.kill()

    @property
    def url(self):
        return f"http://{self.addresses['webhook']}/webhooks/bindbee"

    def connect(self, door="webhook", timeout=PATIENCE):
        host, port = self.addresses[door].rsplit(":", 1)
        return http.client.HTTPConnection(host, int(port), timeout=timeout)

    def post(self, body, key=KEY, headers=None, path="/webhooks/bindbee",
             connection=None):
        """Posts a signed webhook; returns the status and the parsed answer."""
        own = connection is None
        if own:
            connection = self.connect()
        try:
            headers = {"Content-Type": "application/json",
                       SIGNATURE_HEADER: sign(body, key), **(headers or {})}
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            if own:
                connection.close()

    def get(self, path, door="admin"):
        """Status and text of a GET on the admin door."""
        connection = self.connect(door)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def metrics(self):
        """The metrics as {'name{label="value"}': float}."""
        status, text = self.get("/metrics")
        assert status == 200, text
        return parse_metrics(text)

    def channel(self):
        return open_channel(self.addresses["grpc"])

    def stub(self):
        return api_grpc.EventServiceStub(self.channel())

    def deliveries(self):
        """The whole delivery log, in the order of the requests: refused ones
        are recorded a moment later than others."""
        with self.channel() as channel:
            stub = delivery_service_pb2_grpc.DeliveryServiceStub(channel)
            request = delivery_service_pb2.ListDeliveriesRequest()
            deliveries = []
            while True:
                page = stub.ListDeliveries(request, timeout=PATIENCE)
                deliveries += page.deliveries
                request.page_token = page.next_page_token
                if not page.next_page_token:
                    break
        return sorted(deliveries, key=lambda delivery: (
            delivery.received_at.ToNanoseconds(), delivery.id))

    def log_objects(self):
        """What was logged, for log.format json."""
        return [json.loads(line) for line in self.program.err.all()
                if line.startswith("{")]


def wait_for_doors(program):
    """The addresses of the doors, from the log line that tells of them."""

    def find(lines):
        for line in lines:
            doors = {}
            if line.startswith("{"):
                entry = json.loads(line)
                if entry.get("event") == "serving":
                    doors = entry
            elif re.match(r"\S+ info serving ", line):
                doors = dict(re.findall(r"(\w+)=(\S+)", line))
            if doors:
                return {door: doors[door]
                        for door in ("webhook", "grpc", "admin")}
        return None

    return program.err.wait_for(find, "line that says 'serving'")


def open_channel(address):
    return grpc.insecure_channel(address, options=[
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
        ("grpc.max_receive_message_length", 64 << 20),
    ])


def list_all(stub, page_size=500, **kwargs):
    """All events of the log, page by page."""
    events = []
    token = ""
    while True:
        page = stub.ListEvents(
            api.ListEventsRequest(page_size=page_size, page_token=token,
                                  **kwargs), timeout=PATIENCE)
        events += page.events
        token = page.next_page_token
        if not token:
            return events


def replay(stub, **kwargs):
    """All events that a bounded stream gives, and its last cursor."""
    if not {"after_cursor", "since", "position"} & kwargs.keys():
        kwargs["position"] = api.START_POSITION_EARLIEST
    events = []
    cursor = ""
    request = api.SubscribeRequest(stop_when_caught_up=True, **kwargs)
    for response in stub.Subscribe(request, timeout=PATIENCE):
        events += response.events
        cursor = response.cursor
    return events, cursor


class Problem:
    """A gRPC error with its details taken apart."""

    def __init__(self, error):
        self.code = error.code()
        self.message = error.details()
        self.info = None
        self.details = {}
        for key, value in error.trailing_metadata() or ():
            if key != "grpc-status-details-bin":
                continue
            status = status_pb2.Status.FromString(value)
            assert status.code == self.code.value[0], status
            assert status.message == self.message, status
            for any_detail in status.details:
                name = any_detail.type_url.rsplit(".", 1)[1]
                detail = getattr(error_details_pb2, name)()
                assert any_detail.Unpack(detail), any_detail
                if name == "ErrorInfo":
                    self.info = detail
                else:
                    self.details[name] = detail

    @property
    def reason(self):
        if self.info is None:
            return None
        assert self.info.domain == "waggle.dev", self.info
        return self.info.reason

    def __str__(self):
        return f"{self.code} {self.reason} {self.message}"


def problem_of(call):
    """The error that a call ends with."""
    try:
        for _ in call():
            pass
    except grpc.RpcError as error:
        return Problem(error)
    raise AssertionError("the call did not fail")


class Follower(threading.Thread):
    """A consumer as it should be: handles a response, keeps its cursor, and
    after every end of the stream subscribes again with that.

    follow(address) tells it where the gateway is; it begins then, and goes there
    after its stream has ended. finish() ends it.
    """

    def __init__(self, include_payload=False):
        super().__init__(daemon=True)
        self._include_payload = include_payload
        self._changed = threading.Condition()
        self._address = None
        self._generation = 0
        self._finished = False
        self._call = None
        self._cursor = ""
        self._events = []
        self._ends = []
        self._subscribed = 0
        self.start()

    def follow(self, address):
        with self._changed:
            self._address = address
            self._generation += 1
            self._changed.notify_all()

    def finish(self):
        with self._changed:
            self._finished = True
            if self._call is not None:
                self._call.cancel()
            self._changed.notify_all()
        self.join(PATIENCE)

    @property
    def events(self):
        with self._changed:
            return list(self._events)

    @property
    def ends(self):
        """The errors that the streams ended with so far."""
        with self._changed:
            return list(self._ends)

    def wait_for(self, predicate, what):
        """Waits until predicate(follower's fields) holds."""
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self), PATIENCE):
                raise AssertionError(f"the follower never saw {what}; it has "
                                     f"{len(self._events)} events")

    def wait_for_sequence(self, sequence):
        self.wait_for(lambda f: f._events and
                      f._events[-1].sequence >= sequence,
                      f"sequence {sequence}")

    def wait_for_events(self, count):
        self.wait_for(lambda f: len(f._events) >= count, f"{count} events")

    def wait_for_subscriptions(self, count):
        self.wait_for(lambda f: f._subscribed >= count,
                      f"{count} subscriptions")

    def wait_for_ends(self, count):
        self.wait_for(lambda f: len(f._ends) >= count, f"{count} ends")

    def run(self):
        followed = 0
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._finished or self._generation > followed)
                if self._finished:
                    return
                followed = self._generation
                address = self._address
            self._follow_stream(address)

    def _follow_stream(self, address):
        request = api.SubscribeRequest(include_payload=self._include_payload)
        if self._cursor:
            request.after_cursor = self._cursor
        else:
            request.position = api.START_POSITION_EARLIEST
        with open_channel(address) as channel:
            call = api_grpc.EventServiceStub(channel).Subscribe(request)
            with self._changed:
                self._call = call
            try:
                first = True
                for response in call:
                    with self._changed:
                        self._events += response.events
                        self._cursor = response.cursor
                        self._subscribed += first
                        first = False
                        self._changed.notify_all()
                end = None
            except grpc.RpcError as error:
                end = Problem(error)
            with self._changed:
                self._call = None
                self._ends.append(end)
                self._changed.notify_all()


class Proxy:
    """A stable address for a gateway that comes back elsewhere.

    Each connection goes to where `target` says at that moment; without one it
    is closed.
    """

    def __init__(self):
        self.target = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        # Wakes the thread that accepts, which closing alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                host, port = self.target.rsplit(":", 1)
                server = socket.create_connection((host, int(port)))
            except (AttributeError, OSError):
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client, server),
                             daemon=True).start()

    def _serve(self, client, server):
        back = threading.Thread(target=self._pump, args=(server, client),
                                daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        client.close()
        server.close()

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in source, sink:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # The other direction was faster.


_METRIC_LINE = re.compile(
    r"""([a-zA-Z_:][a-zA-Z0-9_:]*)            # name
        (\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*\})?
        \ (NaN|[+-]?Inf|[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)
        (?:\ -?[0-9]+)?""", re.VERBOSE)
_COMMENT_LINE = re.compile(
    r"# (?:HELP [a-zA-Z_:][a-zA-Z0-9_:]* .*"
    r"|TYPE [a-zA-Z_:][a-zA-Z0-9_:]* "
    r"(?:counter|gauge|histogram|summary|untyped))")


def parse_metrics(text):
    """Parses Prometheus' text format 0.0.4, strictly."""
    assert text.endswith("\n"), "the last line has no end"
    values = {}
    for line in text.splitlines():
        if not line:
            continue
        if line.startswith("#"):
            assert _COMMENT_LINE.fullmatch(line), line
            continue
        match = _METRIC_LINE.fullmatch(line)
        assert match, f"not a sample: {line!r}"
        series = match[1] + (match[2] or "")
        assert series not in values, f"twice: {series}"
        values[series] = float(match[3])
    return values


class TestCase(unittest.TestCase):
    """With a directory of its own, and gateways that end with the test."""

    maxDiff = 4000

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="waggle-test-")
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def gateway(self, name="gateway", **kwargs):
        gateway = Gateway(self.directory / name, **kwargs)
        self.addCleanup(gateway.kill)
        return gateway

    def program(self, *args, **kwargs):
        program = Program(*args, **kwargs)
        self.addCleanup(program.kill)
        return program

    def follower(self, **kwargs):
        follower = Follower(**kwargs)
        self.addCleanup(follower.finish)
        return follower

    def proxy(self):
        proxy = Proxy()
        self.addCleanup(proxy.close)
        return proxy

    def wait_ready(self, gateway):
        wait_until(lambda: gateway.get("/readyz")[0] == 200, "readiness")


def employee_body(number, employees=1):
    """A webhook of its own for each number."""
    body = json.loads(sample("employee_changed"))
    body["connector"]["origin_id"] = f"tenant_{number % 10}"
    body["data"] = [f"0191a001-4444-7aaa-{i:04x}-{number:012x}"
                    for i in range(employees)]
    return json.dumps(body).encode()


def main():
    unittest.main(verbosity=2)
