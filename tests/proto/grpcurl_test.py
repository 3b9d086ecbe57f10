"""A client that has no generated code gets along: by reflection, and by the
descriptor set where there is none. And docs/API.md's first session is true.

Environment: WAGGLE_TEST_BUILD is the build tree.
"""

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess

import go_tool
import harness
from security_test import SecureGateway

GRPCURL = go_tool.path_of("grpcurl")
DESCRIPTOR_SET = pathlib.Path(os.environ["WAGGLE_TEST_BUILD"]) / "waggle.binpb"
SERVICES = ["grpc.health.v1.Health", "waggle.v1.DeliveryService",
            "waggle.v1.EventService", "waggle.v1.GatewayService"]
BOUNDED = json.dumps({"position": "START_POSITION_EARLIEST",
                      "stopWhenCaughtUp": True})


def grpcurl(*args):
    return subprocess.run([GRPCURL, *map(str, args)], capture_output=True,
                          text=True, check=False, timeout=harness.PATIENCE)


def in_camel_case(members):
    return {re.sub(r"_(.)", lambda match: match[1].upper(), name): value
            for name, value in members.items()}


def objects(text):
    """The JSON objects that follow one another in a text.

    With names in lowerCamelCase: reflection does not tell of them, so grpcurl
    writes them as the protos do.
    """
    decoder = json.JSONDecoder(object_hook=in_camel_case)
    result = []
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        result.append(value)
        text = text[end:]
    return result


def events_of(text):
    return [event for response in objects(text)
            for event in response.get("events", [])]


class GrpcurlTest(harness.TestCase):

    def check_session(self, target, *options):
        """The same however grpcurl comes to know the messages."""

        def ask(*args):
            done = grpcurl(*options, *args)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        for service in SERVICES:
            self.assertIn(f"service {service.rpartition('.')[2]}",
                          ask(*target, "describe", service))
        page, = objects(ask(*target, "waggle.v1.EventService/ListEvents"))
        events = events_of(ask("-d", BOUNDED, *target,
                               "waggle.v1.EventService/Subscribe"))
        self.assertEqual(events, page["events"])
        self.assertEqual([event["typeName"] for event in events],
                         ["connector_synced", "employee_data_changed"])
        health = json.loads(ask(*target, "grpc.health.v1.Health/Check"))
        self.assertEqual(health["status"], "SERVING")

        done = grpcurl(*options, "-format-error", "-d",
                       '{"after_cursor": "nonsense"}', *target,
                       "waggle.v1.EventService/Subscribe")
        self.assertNotEqual(done.returncode, 0)
        error = json.loads(done.stderr)
        self.assertEqual(error["details"][0]["reason"], "CURSOR_MALFORMED")
        self.assertEqual(error["details"][0]["domain"], "waggle.dev")

    def filled(self, **kwargs):
        gateway = self.gateway(**kwargs).start()
        for name in "sync_completed", "employee_changed":
            status, answer = gateway.post(harness.sample(name))
            self.assertEqual(status, 200, answer)
        return gateway

    def test_by_reflection(self):
        address = self.filled().addresses["grpc"]
        listed = grpcurl("-plaintext", address, "list")
        self.assertEqual(
            [name for name in listed.stdout.split()
             if not name.startswith("grpc.reflection.")], SERVICES)
        self.check_session([address], "-plaintext")

    def test_by_the_descriptor_set(self):
        gateway = self.filled(config={"grpc": {"listen": "127.0.0.1:0",
                                               "reflection": False}})
        address = gateway.addresses["grpc"]
        refused = grpcurl("-plaintext", address, "list")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("does not support the reflection API", refused.stderr)
        listed = grpcurl("-protoset", DESCRIPTOR_SET, "list")
        self.assertEqual(listed.stdout.split(), SERVICES)
        self.check_session([address], "-plaintext", "-protoset",
                           DESCRIPTOR_SET)

    def test_the_descriptor_set_has_the_comments(self):
        done = grpcurl("-protoset", DESCRIPTOR_SET, "describe",
                       "waggle.v1.SubscribeRequest")
        self.assertIn("How a consumer resumes.", done.stdout)


class FirstSessionTest(harness.TestCase):
    """Runs the commands of docs/API.md, in their order."""

    def setUp(self):
        super().setUp()
        text = (harness.SOURCE / "docs/API.md").read_text()
        section = text.partition("\n## First session\n")[2]
        section = section.partition("\n## ")[0]
        code = "\n".join(re.findall(r"^    (.*)$", section, re.M))
        self.commands = code.replace("\\\n", "").splitlines()
        (self.directory / "bin").mkdir()
        (self.directory / "bin/grpcurl").symlink_to(GRPCURL)

    def command(self, line, replacements):
        """How to run a line of the page, with this test's own doors."""
        for old, new in replacements.items():
            line = line.replace(old, shlex.quote(str(new)))
        path = f"{self.directory / 'bin'}:{os.environ['PATH']}"
        return ["env", f"PATH={path}", "bash", "-c", line]

    def run_line(self, line, replacements, cwd):
        return subprocess.run(self.command(line, replacements), cwd=cwd,
                              capture_output=True, text=True, check=False,
                              timeout=harness.PATIENCE)

    def test_commands_do_what_the_page_says(self):
        (install, serve, listing, describe, *sends, everything, live, page,
         nonsense, secure) = self.commands
        # The same as is tested here.
        self.assertTrue(GRPCURL.name.endswith("-" + install.partition("@")[2]))
        self.assertEqual(serve, "build/release/waggle serve")
        demo = self.program("serve", cwd=self.directory, env={
            f"WAGGLE_{door}_LISTEN": "127.0.0.1:0"
            for door in ("WEBHOOK", "GRPC", "ADMIN")})
        doors = harness.wait_for_doors(demo)
        url = f"http://{doors['webhook']}/webhooks/bindbee"
        here = {"127.0.0.1:50051": doors["grpc"]}

        def run(line):
            done = self.run_line(line, here, self.directory)
            self.assertEqual(done.returncode, 0, f"{line}\n{done.stderr}")
            return done.stdout

        self.assertIn("waggle.v1.EventService", run(listing).split())
        self.assertIn("string after_cursor = 2;", run(describe))
        self.assertEqual(len(sends), 2)
        for send in sends:
            program, _, rest = send.partition(" send ")
            self.assertEqual(program, "build/release/waggle")
            done = harness.run("send", "--url", url, *shlex.split(rest))
            self.assertEqual(done.returncode, 0, done.stderr)
        types = [event["type"] for event in events_of(run(everything))]
        self.assertEqual(types, ["EVENT_TYPE_SYNC_COMPLETED",
                                 "EVENT_TYPE_EMPLOYEES_CHANGED"])

        follower = self.program(command=self.command("exec " + live, here))
        follower.out.wait_for(lambda lines: "}" in lines, "first response")
        for sample in "employee_changed", "sync_completed":
            harness.run("send", "--url", url, "--sample", sample, "--unique")
        follower.out.wait_for(lambda lines: any("type_name" in line
                                                for line in lines), "event")
        follower.signal(signal.SIGINT)
        follower.wait()
        self.assertEqual([event["typeName"]
                          for event in events_of(follower.out.text())],
                         ["connector_synced"])

        events = events_of(run(page))
        self.assertEqual({event["typeName"] for event in events},
                         {"employee_data_changed"})
        self.assertEqual(len(events), 2)
        done = self.run_line(nonsense, here, self.directory)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("CURSOR_MALFORMED", done.stderr)
        self.assertIn("-cacert", secure)

    def test_tls_token_and_descriptor_set_as_the_page_says(self):
        secure = SecureGateway(self)
        status, answer = secure.post(harness.sample("sync_completed"))
        self.assertEqual(status, 200, answer)
        (self.directory / "tls.crt").write_bytes(
            secure.authority.certificate.read_bytes())
        (self.directory / "token").write_text(secure.token + "\n")
        done = self.run_line(
            self.commands[-1],
            {"127.0.0.1:50051": secure.gateway.addresses["grpc"],
             "../release/waggle.binpb": DESCRIPTOR_SET}, self.directory)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([event["typeName"]
                          for event in events_of(done.stdout)],
                         ["connector_synced"])


if __name__ == "__main__":
    harness.main()
