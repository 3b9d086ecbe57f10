"""The image as a cluster runs it: a read-only root, no capabilities, no way to
new privileges, a user id of nobody's, and one volume, which is that user's.

Started by scripts/test-image. Environment: WAGGLE_TEST_IMAGE is the image, in
the storage that podman is configured for.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tarfile
import uuid

import crash_test
import draining_test
import harness
from security_test import Authority

IMAGE = os.environ["WAGGLE_TEST_IMAGE"]
USER = 12345
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
MAX_BYTES = 60 * 1000 * 1000


def podman(*args):
    return subprocess.run(["podman", *map(str, args)], capture_output=True,
                          text=True, check=False, timeout=harness.PATIENCE)


def run_command(name, volume, *options):
    """What runs the image's program; arguments of the program may follow."""
    # The network is the host's, so that tests reach the doors on loopback.
    return ["podman", "run", "--rm", "--name", name, "--network", "host",
            "--read-only", "--read-only-tmpfs=false", "--cap-drop=all",
            "--security-opt", "no-new-privileges", "--user", str(USER),
            "--volume", f"{volume}:{volume}", *options, IMAGE]


def give_to_user(directory):
    for path in [directory, *directory.rglob("*")]:
        shutil.chown(path, USER, USER)


class ContainerGateway(harness.Gateway):
    """A gateway in a container. Its directory is the volume."""

    def launch(self):
        give_to_user(self.directory)
        self.container = f"waggle-test-{uuid.uuid4().hex}"
        self.program = harness.Program(
            "serve", "--config", self.config_path,
            command=run_command(self.container, self.directory))
        return self

    def stop(self):
        """As an engine does: by the signal that the image names."""
        stopped = podman("stop", "--time", harness.PATIENCE, self.container)
        assert stopped.returncode == 0, stopped.stderr
        return self.program.wait()

    def kill(self):
        if self.program is None:
            return

        def ended():
            # In vain as long as the container is only being made.
            podman("kill", "--signal", "KILL", self.container)
            return self.program.process.poll() is not None

        harness.wait_until(ended, "end of the container")
        self.program.kill()

    def inspect(self, template):
        shown = podman("inspect", "--format", template, self.container)
        assert shown.returncode == 0, shown.stderr
        return shown.stdout.strip()


class InContainer:
    """Has a test of the program run it in a container."""

    def gateway(self, name="gateway", **kwargs):
        gateway = ContainerGateway(self.directory / name, **kwargs)
        # What leads to the volume is a host's, and closed to the user.
        self.directory.chmod(0o755)
        self.addCleanup(gateway.kill)
        return gateway

    def in_container(self, volume, *args, options=()):
        """Runs the image's program to its end."""
        give_to_user(volume)
        name = f"waggle-test-{uuid.uuid4().hex}"
        return subprocess.run(
            [*run_command(name, volume, *options), *map(str, args)],
            capture_output=True, text=True, check=False,
            timeout=harness.PATIENCE)


class CrashInContainerTest(InContainer, crash_test.CrashTest):
    pass


class DrainingInContainerTest(InContainer, draining_test.DrainingTest):
    pass


class ImageTest(InContainer, harness.TestCase):

    def setUp(self):
        super().setUp()
        inspected = podman("image", "inspect", IMAGE)
        self.assertEqual(inspected.returncode, 0, inspected.stderr)
        self.config = json.loads(inspected.stdout)[0]["Config"]

    def test_says_what_it_is_and_how_it_runs(self):
        version = podman("run", "--rm", "--network", "host", IMAGE, "--version")
        labels = {name.removeprefix("org.opencontainers.image."): value
                  for name, value in self.config["Labels"].items()}
        self.assertEqual(version.stdout, f"waggle {labels['version']}\n",
                         version.stderr)
        self.assertEqual(labels["licenses"], "Apache-2.0")
        for label in "title", "description", "revision", "created":
            self.assertTrue(labels[label], label)
        self.assertRegex(self.config["User"], r"^[1-9][0-9]*:[1-9][0-9]*$")
        self.assertEqual(self.config["StopSignal"], "SIGTERM")
        self.assertEqual(self.config["ExposedPorts"].keys(),
                         {"8080/tcp", "8081/tcp", "50051/tcp"})

    def files(self):
        """The image's regular files, unpacked."""
        container = podman("create", IMAGE)
        self.assertEqual(container.returncode, 0, container.stderr)
        name = container.stdout.strip()
        self.addCleanup(podman, "rm", name)
        archive = self.directory / "image.tar"
        exported = podman("export", "--output", archive, name)
        self.assertEqual(exported.returncode, 0, exported.stderr)
        with tarfile.open(archive) as tar:
            return [member for member in tar if member.isreg()]

    def test_holds_only_what_the_program_needs_and_is_small(self):
        files = self.files()
        library = re.compile(r"\.so(\.[0-9.]+)?$")
        runnable = {member.name for member in files
                    if member.mode & 0o111 and not library.search(member.name)}
        self.assertEqual(runnable, {"usr/bin/waggle"})
        self.assertEqual([member.name for member in files
                          if member.mode & 0o6000], [])

        parts = {
            "program": r"usr/bin/waggle$",
            "API": r"usr/share/waggle/(waggle\.binpb|proto/.*\.proto)$",
            "libraries": r"usr/lib(64)?/[^/]*/?[^/]*\.so[.0-9]*$",
            "time zones": r"usr/share/zoneinfo/",
            "authorities": r"etc/ssl/certs/ca-certificates\.crt$",
            "licences and package list":
                r"usr/share/(doc|common-licenses)/|var/lib/dpkg/status\.d/",
            "names": r"etc/(passwd|group|nsswitch\.conf|os-release|hostname"
                     r"|hosts|resolv\.conf)$|run/\.containerenv$",
        }
        sizes = dict.fromkeys(parts, 0)
        for member in files:
            part = next((name for name, pattern in parts.items()
                         if re.match(pattern, member.name)), None)
            self.assertIsNotNone(part, member.name)
            sizes[part] += member.size
        total = sum(sizes.values())
        print(f"{total / 1e6:.1f} MB unpacked: " + ", ".join(
            f"{name} {size / 1e6:.1f}" for name, size in sizes.items()),
            flush=True)
        for member in sorted(files, key=lambda m: -m.size)[:6]:
            print(f"  {member.size / 1e6:.1f} MB {member.name}", flush=True)
        self.assertLess(total, MAX_BYTES)
        with tarfile.open(self.directory / "image.tar") as tar:
            users = tar.extractfile("etc/passwd").read().decode()
        uid, gid = self.config["User"].split(":")
        self.assertRegex(users, rf"^waggle:x:{uid}:{gid}:[^\n]*\n$")

    def test_end_to_end(self):
        gateway = self.gateway().start()
        self.check_confinement(gateway)
        follower = self.follower(include_payload=True)
        follower.follow(gateway.addresses["grpc"])
        ids = []
        for name in harness.sample_names():
            status, answer = gateway.post(harness.sample(name))
            self.assertEqual(status, 200, answer)
            ids.append(answer["id"])
        self.assertEqual(gateway.post(harness.sample("sync_completed"),
                                      key="whsec_stranger")[0], 401)
        follower.wait_for_events(len(ids))
        self.assertEqual([event.id for event in follower.events], ids)
        self.wait_ready(gateway)
        for path in gateway.data_path.iterdir():
            self.assertEqual(path.stat().st_uid, USER, path)

        self.assertEqual(gateway.stop(), 0)
        gateway.start()
        self.assertEqual([event.id for event in
                          harness.list_all(gateway.stub())], ids)
        self.assertEqual(gateway.stop(), 0)

    def check_confinement(self, gateway):
        """That the options above were carried out."""
        process = pathlib.Path("/proc", gateway.inspect("{{.State.Pid}}"))
        status = dict(line.split(":\t", 1) for line in
                      (process / "status").read_text().splitlines())
        self.assertEqual(status["Uid"].split(), [str(USER)] * 4)
        self.assertEqual(int(status["CapEff"], 16) | int(status["CapBnd"], 16),
                         0)
        self.assertEqual(status["NoNewPrivs"], "1")
        writable = {fields[4] for fields in map(
            str.split, (process / "mountinfo").read_text().splitlines())
            if "rw" in fields[5].split(",") and not fields[4].startswith(
                ("/proc", "/sys", "/dev", "/etc/", "/run/"))}
        self.assertEqual(writable, {str(gateway.directory)})
        shell = podman("exec", gateway.container, "/bin/sh", "-c", "true")
        self.assertNotEqual(shell.returncode, 0)
        self.assertRegex(shell.stderr, "no such file")

    def test_runs_as_its_own_user_on_a_new_volume(self):
        """As somebody tries it out: no configuration, and a named volume at the
        working folder."""
        volume = f"waggle-test-{uuid.uuid4().hex}"
        self.addCleanup(podman, "volume", "rm", "--force", volume)
        run = ["podman", "run", "--rm", "--network", "host", "--read-only",
               "--volume", f"{volume}:/var/lib/waggle"]
        for door in "WEBHOOK", "GRPC", "ADMIN":
            run += ["--env", f"WAGGLE_{door}_LISTEN=127.0.0.1:0"]

        def start():
            name = f"waggle-test-{uuid.uuid4().hex}"
            gateway = self.program("serve", command=[*run, "--name", name, IMAGE])
            self.addCleanup(podman, "rm", "--force", name)
            return gateway, harness.wait_for_doors(gateway)

        def stop(gateway):
            gateway.signal(signal.SIGTERM)
            self.assertEqual(gateway.wait(), 0, gateway.err.text())

        def client(*args):
            done = podman("run", "--rm", "--network", "host", IMAGE, *args)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        gateway, doors = start()
        client("send", "--sample", "all",
               "--url", f"http://{doors['webhook']}/webhooks/bindbee")
        stop(gateway)
        gateway, doors = start()
        seen = client("tail", "--address", doors["grpc"], "--from", "earliest",
                      "--until-caught-up")
        self.assertEqual(len(seen.splitlines()), len(harness.sample_names()))
        stop(gateway)

    def test_data_directory_that_cannot_be_written_is_told_of(self):
        gateway = self.gateway(config={"store": {"path": "/data"}}).launch()
        self.assertEqual(gateway.program.wait(), 1)
        self.assertIn("/data", gateway.program.err.text())

    def test_names_and_authorities_of_the_system_are_found(self):
        """A host's name, and certificates, without naming an authority."""
        volume = self.directory / "gateway"
        volume.mkdir()
        authority = Authority(volume)
        certificate, key = authority.issue("gateway")
        tls = {"certificate_file": str(certificate), "key_file": str(key)}
        gateway = self.gateway(config={"webhook": {"tls": tls},
                                       "grpc": {"tls": tls}}).start()
        ports = {door: address.rsplit(":", 1)[1]
                 for door, address in gateway.addresses.items()}
        trusting = ("--volume", f"{authority.certificate}:{AUTHORITIES}:ro")
        send = ("send", "--sample", "sync_completed",
                "--key-file", volume / "bindbee.key",
                "--url",
                f"https://localhost:{ports['webhook']}/webhooks/bindbee")
        tail = ("tail", "--from", "earliest", "--until-caught-up", "--tls",
                "--address", f"localhost:{ports['grpc']}")

        sent = self.in_container(volume, *send, options=trusting)
        self.assertEqual(sent.returncode, 0, sent.stderr)
        seen = self.in_container(volume, *tail, options=trusting)
        self.assertEqual(seen.returncode, 0, seen.stderr)
        self.assertEqual(json.loads(seen.stdout)["sync"]["id"],
                         json.loads(harness.sample("sync_completed"))["sync"]
                         ["sync_id"])
        # Those that the image came with did not issue it.
        refused = self.in_container(volume, *send)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("certificate", refused.stderr + refused.stdout)
        self.assertEqual(gateway.stop(), 0)


if __name__ == "__main__":
    harness.main()
