"""The commands as people and scripts use them."""

import json
import re
import signal
import subprocess

import harness

ANY_PORTS = {"WAGGLE_WEBHOOK_LISTEN": "127.0.0.1:0",
             "WAGGLE_GRPC_LISTEN": "127.0.0.1:0",
             "WAGGLE_ADMIN_LISTEN": "127.0.0.1:0"}


def tail(address, *args, **kwargs):
    return harness.run("tail", "--address", address, *args, **kwargs)


def events_of(text):
    return [json.loads(line) for line in text.splitlines()]


class DemoTest(harness.TestCase):

    def test_demo_from_an_empty_folder_to_eight_events_on_the_screen(self):
        demo = self.program("serve", cwd=self.directory, env=ANY_PORTS)
        doors = harness.wait_for_doors(demo)
        banner = demo.out.wait_for(
            lambda lines: "\n".join(lines) if any(
                line.startswith("ready:") for line in lines) else None,
            "ready line")
        self.assertIn("DEMO", banner)
        self.assertIn("key that everybody knows", banner)
        self.assertTrue((self.directory / "waggle-data").is_dir())

        url = f"http://{doors['webhook']}/webhooks/bindbee"
        for duplicate in False, True:
            sent = harness.run("send", "--sample", "all", "--url", url)
            self.assertEqual(sent.returncode, 0, sent.stderr)
            lines = sent.stdout.splitlines()
            self.assertEqual(sorted(line.split()[0] for line in lines),
                             harness.sample_names())
            for line in lines:
                _, status, answer = line.split(" ", 2)
                self.assertEqual(status, "200")
                self.assertEqual(json.loads(answer)["duplicate"], duplicate)

        shown = tail(doors["grpc"], "--from", "earliest", "--until-caught-up")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        events = events_of(shown.stdout)
        self.assertEqual(len(events), 8)
        self.assertEqual({event["typeName"] for event in events},
                         {"connector_sync_started", "connector_synced",
                          "connector_sync_error", "employee_data_changed",
                          "connector_data_modified", "connector_relinked"})
        self.assertTrue(all("payload" not in event for event in events))
        table = tail(doors["grpc"], "--from", "earliest", "--until-caught-up",
                     "--output", "table")
        self.assertEqual(len(table.stdout.splitlines()), 9)
        filtered = tail(doors["grpc"], "--from", "earliest",
                        "--until-caught-up", "--type", "sync_failed",
                        "--payload")
        event, = events_of(filtered.stdout)
        self.assertEqual(event["typeName"], "connector_sync_error")
        self.assertIn("payload", event)

        demo.signal(signal.SIGINT)
        self.assertEqual(demo.wait(), 0)

    def test_demo_does_not_leave_the_machine(self):
        refused = harness.run("serve", cwd=self.directory, env={
            **ANY_PORTS, "WAGGLE_WEBHOOK_LISTEN": "0.0.0.0:0"})
        self.assertEqual(refused.returncode, 1)
        self.assertIn("loopback", refused.stderr)


class TailTest(harness.TestCase):

    def test_tail_survives_restarts_of_the_gateway_and_of_itself(self):
        gateway = self.gateway().start()
        proxy = self.proxy()
        proxy.target = gateway.addresses["grpc"]
        cursor_file = self.directory / "cursor"
        flags = ["--address", proxy.address, "--from", "earliest",
                 "--cursor-file", cursor_file]
        posted = []

        def post():
            status, answer = gateway.post(harness.employee_body(len(posted)))
            self.assertEqual(status, 200)
            posted.append(answer["id"])

        def seen(program):
            return program.out.wait_for(
                lambda lines: len(lines) >= len(posted) and
                [json.loads(line)["id"] for line in lines],
                f"{len(posted)} events")

        following = self.program("tail", *flags)
        for _ in range(3):
            post()
        self.assertEqual(seen(following), posted)
        for end in gateway.kill, gateway.stop:
            proxy.target = None
            end()
            following.err.wait_for(
                lambda lines: any("again in" in line for line in lines),
                "message about the interruption")
            gateway.start()
            proxy.target = gateway.addresses["grpc"]
            for _ in range(3):
                post()
            self.assertEqual(seen(following), posted)
        following.signal(signal.SIGTERM)
        self.assertEqual(following.wait(), 0)

        before = len(posted)
        for _ in range(2):
            post()
        again = harness.run("tail", *flags, "--until-caught-up")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual([event["id"] for event in events_of(again.stdout)],
                         posted[before:])
        nothing = harness.run("tail", *flags, "--until-caught-up")
        self.assertEqual((nothing.returncode, nothing.stdout), (0, ""))

    def test_what_can_never_succeed_ends_the_tail(self):
        address = self.gateway().start().addresses["grpc"]
        for args, code in [
            (["--type", "no_such_type"], 2),
            (["--from", "yesterdayish"], 2),
            (["--filter", "{"], 2),
            (["--no-such-flag"], 2),
            (["--filter", '{"models": [""]}'], 3),
        ]:
            with self.subTest(str(args)):
                refused = tail(address, *args)
                self.assertEqual(refused.returncode, code, refused.stderr)
                self.assertNotEqual(refused.stderr, "")
                self.assertEqual(refused.stdout, "")

    def test_cursor_of_another_store_is_a_gap(self):
        first = self.gateway("first").start()
        first.post(harness.employee_body(1))
        cursor_file = self.directory / "cursor"
        tail(first.addresses["grpc"], "--from", "earliest",
             "--until-caught-up", "--cursor-file", cursor_file)
        second = self.gateway("second").start()
        refused = tail(second.addresses["grpc"], "--cursor-file", cursor_file)
        self.assertEqual(refused.returncode, 4, refused.stderr)


class SendTest(harness.TestCase):

    def test_exit_codes_tell_what_became_of_it(self):
        gateway = self.gateway().start()
        key = gateway.directory / "bindbee.key"
        sample = harness.SAMPLES / "sync_error.json"
        good = harness.run("send", "--file", sample, "--url", gateway.url,
                           "--key-file", key)
        self.assertEqual(good.returncode, 0, good.stderr)
        refused = harness.run("send", "--file", sample, "--url", gateway.url)
        self.assertEqual(refused.returncode, 3, refused.stderr)
        usage = harness.run("send", "--sample", "no_such_sample")
        self.assertEqual(usage.returncode, 2)
        for done in good, refused:
            self.assertNotIn(harness.KEY, done.stdout + done.stderr)
        self.assertEqual(gateway.stop(), 0)
        gone = harness.run("send", "--file", sample, "--url", gateway.url,
                           "--key-file", key, "--retries", "0")
        self.assertEqual(gone.returncode, 1)
        self.assertNotEqual(gone.stderr, "")


class SignTest(harness.TestCase):

    def test_signature_equals_openssls(self):
        key = self.directory / "key"
        path = self.directory / "body"
        bodies = [harness.sample(name) for name in harness.sample_names()]
        for number, body in enumerate([*bodies, b"", b"\x00\xff\n", b"x" * 65]):
            text = f"whsec_{number}" * (number + 1)
            key.write_text(text)
            key.chmod(0o600)
            path.write_bytes(body)
            digest = subprocess.run(
                ["openssl", "dgst", "-sha256", "-hmac", text, "-binary", path],
                capture_output=True, check=True).stdout
            expected = subprocess.run(
                ["openssl", "base64", "-A"], input=digest, check=True,
                capture_output=True).stdout.decode()
            expected = expected.replace("+", "-").replace("/", "_")
            signed = harness.run("sign", "--key-file", key, path)
            self.assertEqual((signed.returncode, signed.stdout),
                             (0, expected + "\n"), signed.stderr)
            piped = harness.run("sign", "--key-file", key, "--header",
                                stdin=body)
            self.assertEqual(piped.stdout,
                             f"{harness.SIGNATURE_HEADER}: {expected}\n")

    def test_key_is_needed(self):
        self.assertEqual(harness.run("sign").returncode, 2)
        self.assertEqual(harness.run("sign", "--key-file",
                                     self.directory / "none").returncode, 1)


class CheckConfigTest(harness.TestCase):

    def check(self, text, env=None):
        path = self.directory / "waggle.yaml"
        path.write_text(text)
        return harness.run("check-config", path, env=env, cwd=self.directory)

    def good_text(self):
        key = self.directory / "key"
        key.touch(mode=0o600)
        key.write_text(harness.KEY)
        return ("webhook:\n  endpoints:\n    - name: bindbee\n"
                f"      signing_key_files: [{key}]\n")

    def test_good_configuration_is_shown_in_full(self):
        good = self.check(self.good_text())
        self.assertEqual(good.returncode, 0, good.stderr)
        self.assertIn("OK", good.stdout.splitlines()[0])
        self.assertIn("max_stream_age", good.stdout)
        self.assertNotIn(harness.KEY, good.stdout)
        again = self.check(good.stdout)
        self.assertEqual((again.returncode, again.stdout), (0, good.stdout))
        overridden = self.check(self.good_text(),
                                env={"WAGGLE_GRPC_LISTEN": "[::1]:7"})
        self.assertIn("[::1]:7", overridden.stdout)

    def test_every_problem_is_told_with_its_place(self):
        bad = self.check(self.good_text() + "  workers: many\n"
                         "grpc:\n  lissen: 127.0.0.1:1\n")
        self.assertEqual(bad.returncode, 1)
        self.assertRegex(bad.stderr, r"waggle\.yaml:5:\d+: .*workers")
        self.assertRegex(bad.stderr, r"waggle\.yaml:7:\d+: .*lissen")
        self.assertIn("listen", bad.stderr)
        for text in "", "webhook: {endpoints: []}", "[", "a: 1":
            self.assertEqual(self.check(text).returncode, 1, text)
        unknown = self.check(self.good_text(), env={"WAGGLE_GRPC_LISSEN": "x"})
        self.assertEqual(unknown.returncode, 1)
        self.assertIn("WAGGLE_GRPC_LISSEN", unknown.stderr)

    def test_key_files_are_read(self):
        text = self.good_text()
        (self.directory / "key").unlink()
        missing = self.check(text)
        self.assertEqual(missing.returncode, 1)
        self.assertIn(str(self.directory / "key"), missing.stderr)


class ServeTest(harness.TestCase):

    def database(self, gateway):
        """The file that `sqlite3` would open."""
        path, = (path for path in gateway.data_path.iterdir()
                 if path.read_bytes().startswith(b"SQLite format 3\0"))
        return path

    def test_second_gateway_on_the_same_data_is_refused(self):
        gateway = self.gateway().start()
        second = harness.run("serve", "--config", gateway.config_path)
        self.assertEqual(second.returncode, 1)
        self.assertIn(str(gateway.data_path), second.stderr)
        self.assertRegex(second.stderr, "(?i)another|in use|already")
        self.assertEqual(gateway.post(harness.employee_body(1))[0], 200)

    def test_taken_port_is_told(self):
        gateway = self.gateway().start()
        for door in "webhook", "grpc", "admin":
            with self.subTest(door):
                other = self.gateway(f"other-{door}", config={
                    door: {"listen": gateway.addresses[door]}})
                refused = harness.run("serve", "--config", other.config_path)
                self.assertEqual(refused.returncode, 1)
                port = gateway.addresses[door].rsplit(":", 1)[1]
                self.assertIn(port, refused.stderr)

    def test_data_of_something_else_is_refused_and_left_alone(self):
        gateway = self.gateway().start()
        gateway.stop()
        database = self.database(gateway)
        foreign = b"this is no database" * 1000
        database.write_bytes(foreign)
        refused = harness.run("serve", "--config", gateway.config_path)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(str(gateway.data_path), refused.stderr)
        self.assertEqual(database.read_bytes(), foreign)

    def test_help_is_there_for_everything(self):
        text = harness.run("--help")
        self.assertEqual(text.returncode, 0)
        for command in ("serve", "tail", "send", "sign", "check-config",
                        "deliveries", "trace", "top", "health", "backup",
                        "export", "import"):
            self.assertIn(command, text.stdout)
            own = harness.run(command, "--help")
            self.assertEqual(own.returncode, 0)
            self.assertGreater(len(own.stdout), 300)
        self.assertEqual(harness.run().returncode, 2)
        self.assertRegex(harness.run("--version").stdout, r"^waggle \d+\.\d+")

    def test_data_are_their_users_alone_in_a_directory_that_is_not(self):
        gateway = self.gateway()
        gateway.data_path.mkdir()
        gateway.data_path.chmod(0o755)
        gateway.start()
        gateway.post(harness.sample("employee_changed"))
        files = list(gateway.data_path.iterdir())
        self.assertIn("events.db-wal", [file.name for file in files])
        for file in files:
            self.assertEqual(file.stat().st_mode & 0o077, 0, file)

    def test_operator_can_read_the_data_beside_the_gateway(self):
        gateway = self.gateway().start()
        for number in range(3):
            gateway.post(harness.employee_body(number))
        database = self.database(gateway)
        done = subprocess.run(
            ["sqlite3", "-readonly", database, "SELECT name FROM "
             "sqlite_schema WHERE type='table'; PRAGMA integrity_check;"],
            capture_output=True, check=True)
        self.assertEqual(done.stdout.decode().splitlines()[-1], "ok")
        self.assertEqual(gateway.post(harness.employee_body(9))[0], 200)
        self.assertEqual(gateway.stop(), 0)


class AdminTest(harness.TestCase):

    def test_metrics_tell_what_was_promised(self):
        gateway = self.gateway().start()
        follower = self.follower()
        follower.follow(gateway.addresses["grpc"])
        follower.wait_for_subscriptions(1)
        for number in range(3):
            gateway.post(harness.employee_body(number))
        gateway.post(harness.employee_body(0))
        gateway.post(harness.employee_body(9), key="another key")
        follower.wait_for_events(3)

        def value(name):
            return gateway.metrics().get(name)

        requests = 'waggle_webhook_requests_total{endpoint="bindbee",result='
        for name, expected in [
            (requests + '"accepted"}', 3),
            (requests + '"duplicate"}', 1),
            (requests + '"unauthenticated"}', 1),
            ('waggle_events_appended_total{type="employee_data_changed"}', 3),
            ('waggle_events_appended_total{type="unrecognized"}', 0),
            ("waggle_webhook_accept_seconds_count", 4),
            ("waggle_subscribers", 1),
            ("waggle_events_delivered_total", 3),
            ("waggle_subscriber_max_lag_events", 0),
        ]:
            with self.subTest(name):
                harness.wait_until(lambda: value(name) == expected,
                                   f"{name} = {expected}, not {value(name)}",
                                   timeout=20)
        metrics = gateway.metrics()
        self.assertGreater(metrics["waggle_store_commit_seconds_count"], 0)
        self.assertGreaterEqual(metrics["waggle_store_commit_events_sum"], 3)
        self.assertGreater(metrics["waggle_store_size_bytes"], 0)
        oldest = metrics["waggle_store_oldest_event_timestamp_seconds"]
        self.assertEqual(int(oldest), follower.events[0].received_at.seconds)
        builds = [name for name in metrics
                  if re.fullmatch(r'waggle_build_info\{.*version="[^"]+".*\}',
                                  name)]
        self.assertEqual(len(builds), 1)
        self.assertEqual(metrics[builds[0]], 1)
        follower.finish()
        harness.wait_until(lambda: value("waggle_subscribers") == 0,
                           "the subscriber to be gone")

    def test_metrics_are_described(self):
        gateway = self.gateway().start()
        text = gateway.get("/metrics")[1]
        described = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
        self.assertEqual(described, set(re.findall(
            r"^# HELP (\S+) \S", text, re.MULTILINE)))
        for series in harness.parse_metrics(text):
            name = series.split("{")[0]
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            self.assertTrue({name, base} & described, series)
            self.assertTrue(name.startswith(("waggle_", "process_")), name)

    def test_health_and_readiness(self):
        gateway = self.gateway().start()
        self.assertEqual(gateway.get("/healthz"), (200, "ok\n"))
        self.wait_ready(gateway)
        self.assertEqual(gateway.get("/no_such_page")[0], 404)


if __name__ == "__main__":
    harness.main()
