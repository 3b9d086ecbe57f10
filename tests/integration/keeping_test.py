"""Keeping the data: backup under load and its restoration, export and import,
as an operator does them, beside the operators' commands that need no more than
a running gateway."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import termios
import threading

import harness


def events_of(text):
    return [json.loads(line) for line in text.splitlines()]


def without_sequences(events):
    return [{key: value for key, value in event.items() if key != "sequence"}
            for event in events]


def take_terminal():
    """Makes standard input the terminal of this session, for Ctrl-C."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Load(threading.Thread):
    """Posts webhooks, one after the other, until it is told to end."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self._gateway = gateway
        self._enough = threading.Event()
        self.acknowledged = []
        self._changed = threading.Condition()

    def run(self):
        connection = self._gateway.connect()
        number = 0
        while not self._enough.is_set():
            status, answer = self._gateway.post(
                harness.employee_body(1_000_000 + number),
                connection=connection)
            assert status == 200, answer
            with self._changed:
                self.acknowledged.append(answer["id"])
                self._changed.notify_all()
            number += 1
        connection.close()

    def wait_for(self, count):
        with self._changed:
            assert self._changed.wait_for(
                lambda: len(self.acknowledged) >= count, harness.PATIENCE)

    def finish(self):
        self._enough.set()
        self.join(harness.PATIENCE)
        return self.acknowledged


class BackupTest(harness.TestCase):

    def test_backup_under_load_is_restored_as_a_store_of_its_own(self):
        gateway = self.gateway("first").start()
        load = Load(gateway)
        load.start()
        load.wait_for(100)
        before = list(load.acknowledged)
        _, cursor = harness.replay(gateway.stub())
        copy = self.directory / "copy.db"
        done = harness.run("backup", "--config", gateway.config_path, copy)
        self.assertEqual(done.returncode, 0, done.stderr)
        load.wait_for(len(load.acknowledged) + 10)
        acknowledged = load.finish()
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(copy.stat().st_mode & 0o777, 0o600)

        again = harness.run("backup", "--config", gateway.config_path, copy)
        self.assertEqual(again.returncode, 1)
        self.assertIn(str(copy), again.stderr)

        restored = self.gateway("restored")
        restored.data_path.mkdir()
        copy.rename(restored.data_path / "events.db")
        restored.start()
        ids = [event.id for event in harness.replay(restored.stub())[0]]
        self.assertIn(f"{len(ids)} events", done.stdout)
        # Of one moment, which is not before the command began.
        self.assertEqual(ids, acknowledged[:len(ids)])
        self.assertEqual(ids[:len(before)], before)
        # What it held is known again, and what it had not is new.
        status, answer = restored.post(harness.employee_body(1_000_000))
        self.assertEqual((status, answer["id"], answer["duplicate"]),
                         (200, ids[0], True))

        problem = harness.problem_of(lambda: restored.stub().Subscribe(
            harness.api.SubscribeRequest(after_cursor=cursor)))
        self.assertEqual(problem.reason, "CURSOR_STORE_MISMATCH")

    def test_damage_is_found_and_no_copy_made(self):
        gateway = self.gateway().start()
        for number in range(3):
            gateway.post(harness.employee_body(number))
        gateway.stop()
        subprocess.run(
            ["sqlite3", gateway.data_path / "events.db",
             "UPDATE events SET payload = x'00' WHERE seq = 2"], check=True)
        copy = self.directory / "copy.db"
        refused = harness.run("backup", "--data", gateway.data_path, copy)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("sequence 2", refused.stderr)
        self.assertEqual([path for path in self.directory.iterdir()
                          if path.name.startswith("copy")], [])


class ExportTest(harness.TestCase):

    def export(self, gateway, *args):
        done = harness.run("export", "--address", gateway.addresses["grpc"],
                           *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_what_is_exported_comes_back_equal(self):
        gateway = self.gateway("first").start()
        bodies = [harness.sample(name) for name in harness.sample_names()]
        bodies += [harness.employee_body(number) for number in range(300)]
        bodies += [b"", b"not JSON", b'{"webhook":{}}']
        posted = [gateway.post(body)[1]["id"] for body in bodies]
        exported = events_of(self.export(gateway))
        self.assertEqual([event["id"] for event in exported], posted)
        files = {}
        for name in "jsonl", "protobuf":
            files[name] = self.directory / f"events.{name}"
            self.export(gateway, "--format", name, "--output", files[name])
        self.assertLess(files["protobuf"].stat().st_size,
                        files["jsonl"].stat().st_size)
        part = self.export(gateway, "--type", "sync_completed")
        self.assertEqual({event["typeName"] for event in events_of(part)},
                         {"connector_synced"})
        running = harness.run("import", files["jsonl"], "--config",
                              gateway.config_path)
        self.assertEqual(running.returncode, 1)
        self.assertEqual(gateway.stop(), 0)

        for name, file in files.items():
            with self.subTest(name):
                other = self.gateway(f"from-{name}")
                # An empty store, as a first start leaves it.
                other.start()
                other.stop()
                done = harness.run("import", file, "--config",
                                   other.config_path)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(f"{len(posted)} events", done.stdout)
                other.start()
                again = events_of(self.export(other))
                self.assertEqual(without_sequences(again),
                                 without_sequences(exported))
                self.assertEqual([int(event["sequence"]) for event in again],
                                 list(range(1, len(posted) + 1)))
                # What Bindbee repeats is what it was.
                status, answer = other.post(harness.sample("sync_completed"))
                self.assertEqual((status, answer["duplicate"]), (200, True))
                self.assertIn(answer["id"], posted)
                self.assertEqual(other.stop(), 0)
                twice = harness.run("import", file, "--config",
                                    other.config_path)
                self.assertEqual(twice.returncode, 1)
                self.assertIn("holds events", twice.stderr)

    def test_export_goes_on_when_the_gateway_comes_back(self):
        gateway = self.gateway().start()
        posted = [gateway.post(harness.employee_body(number))[1]["id"]
                  for number in range(50)]
        proxy = self.proxy()
        export = self.program("export", "--address", proxy.address)
        export.err.wait_for(
            lambda lines: any("again in" in line for line in lines),
            "message about the interruption")
        proxy.target = gateway.addresses["grpc"]
        self.assertEqual(export.wait(), 0)
        self.assertEqual([event["id"] for event in
                          events_of(export.out.text())], posted)

    def test_import_that_waits_is_cancelled_and_leaves_nothing(self):
        pipe = self.directory / "pipe"
        os.mkfifo(pipe)
        for source in "-", pipe:
            for number in signal.SIGINT, signal.SIGTERM:
                with self.subTest(f"{source}, {number.name}"):
                    data = self.directory / "data"
                    waiting = self.program("import", source, "--data", data,
                                           stdin=subprocess.PIPE)
                    harness.wait_until((data / "import").exists,
                                       "the import to have begun")
                    waiting.signal(number)
                    self.assertEqual(waiting.wait(), 1)
                    waiting.process.stdin.close()
                    self.assertIn("cancelled", waiting.err.text())
                    self.assertIn("nothing was imported", waiting.err.text())
                    self.assertEqual([path.name for path in data.iterdir()],
                                     ["lock"])

    def test_cancelled_export_leaves_no_file(self):
        proxy = self.proxy()
        file = self.directory / "events.jsonl"
        export = self.program("export", "--address", proxy.address,
                              "--output", file)
        export.err.wait_for(
            lambda lines: any("again in" in line for line in lines),
            "message about the interruption")
        export.signal(signal.SIGTERM)
        self.assertEqual(export.wait(), 1)
        self.assertEqual([path.name for path in self.directory.iterdir()
                          if path.name.startswith("events")], [])


class OperatorTest(harness.TestCase):

    def run_for(self, gateway, command, *args):
        done = harness.run(command, "--address", gateway.addresses["grpc"],
                           *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_did_that_webhook_arrive(self):
        gateway = self.gateway().start()
        follower = self.follower()
        follower.follow(gateway.addresses["grpc"])
        follower.wait_for_subscriptions(1)
        following = self.program(
            "deliveries", "--follow", "--output", "json", "--address",
            gateway.addresses["grpc"])
        body = harness.sample("sync_completed")
        _, stored = gateway.post(body)
        gateway.post(body)
        gateway.post(body, key="another key")
        follower.wait_for_events(1)
        lines = following.out.wait_for(
            lambda lines: len(lines) >= 3 and lines, "three deliveries")
        self.assertEqual(
            [json.loads(line)["outcome"] for line in lines],
            ["DELIVERY_OUTCOME_ACCEPTED", "DELIVERY_OUTCOME_DUPLICATE",
             "DELIVERY_OUTCOME_UNAUTHENTICATED"])
        following.signal(signal.SIGINT)
        self.assertEqual(following.wait(), 0)

        refused = self.run_for(gateway, "deliveries", "--outcome",
                               "unauthenticated")
        self.assertIn("401", refused)
        self.assertNotIn(stored["id"], refused)
        sync = follower.events[0].sync.id
        story = harness.wait_until(
            lambda: (text := self.run_for(gateway, "trace", "--sync", sync))
            and "handed over to anonymous" in text and text,
            "the event to be handed over")
        for part in ("first byte from 127.0.0.1", stored["id"],
                     "duplicate: the same body again",
                     "unauthenticated at bindbee: 1 recorded"):
            self.assertIn(part, story)
        nothing = self.run_for(gateway, "trace", "--sync", "another")
        self.assertIn("nothing arrived", nothing)
        once = self.run_for(gateway, "top")
        self.assertIn("SUBSCRIBERS: 1", once)

    def test_top_gives_the_terminal_back(self):
        gateway = self.gateway().start()
        for end in b"q", b"\x03":
            with self.subTest(end):
                terminal, screen = pty.openpty()
                # The shell holds the session, and with it the terminal.
                shell = subprocess.Popen(
                    ["sh", "-c", 'trap : INT; stty -g; "$0" top --address "$1"; '
                     'echo "code $?"; stty -g', harness.BINARY,
                     gateway.addresses["grpc"]], env=harness.environment(),
                    stdin=screen, stdout=screen, stderr=screen,
                    start_new_session=True, preexec_fn=take_terminal)
                os.close(screen)
                shown = b""
                while b"SUBSCRIBERS" not in shown:
                    shown += os.read(terminal, 65536)
                os.write(terminal, end)
                try:
                    while more := os.read(terminal, 65536):
                        shown += more
                except OSError:
                    pass  # How a terminal's other end tells of its end.
                shell.wait(harness.PATIENCE)
                os.close(terminal)
                before = shown.split(b"\r\n")[0]
                left = shown.split(b"\x1b[?1049l")[1]
                self.assertIn(b"code 0\r\n" + before + b"\r\n", left)

    def test_health_follows_the_gateway(self):
        gateway = self.gateway().start()
        self.wait_ready(gateway)
        admin = "http://" + gateway.addresses["admin"]
        probes = [["--url", admin], ["--url", admin + "/", "--live"],
                  ["--grpc", gateway.addresses["grpc"]]]
        for probe in probes:
            done = harness.run("health", *probe)
            self.assertEqual(done.returncode, 0, done.stderr)
        gateway.stop()
        for probe in probes:
            gone = harness.run("health", *probe, "--timeout", "2s")
            self.assertEqual(gone.returncode, 1)
            self.assertNotEqual(gone.stderr, "")


if __name__ == "__main__":
    harness.main()
