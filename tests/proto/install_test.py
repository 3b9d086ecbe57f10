"""What `cmake --install` installs is enough to run the gateway and to write a
client.

Environment: WAGGLE_TEST_BUILD is the build tree.
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

from google.protobuf import descriptor_pb2

BUILD = os.environ["WAGGLE_TEST_BUILD"]


def run(*args, **kwargs):
    return subprocess.run([str(arg) for arg in args], check=True,
                          capture_output=True, text=True, **kwargs).stdout


class InstallTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="waggle-test-")
        cls.addClassCleanup(directory.cleanup)
        cls.root = pathlib.Path(directory.name)
        run("cmake", "--install", BUILD, "--prefix", cls.root)

    def test_program_runs(self):
        self.assertRegex(run(self.root / "bin/waggle", "--version"),
                         r"^waggle \d+\.\d+\.\d+\n$")

    def test_descriptor_set_is_complete_and_holds_what_is_served(self):
        api = descriptor_pb2.FileDescriptorSet.FromString(
            (self.root / "share/waggle/waggle.binpb").read_bytes())
        names = {file.name for file in api.file}
        for file in api.file:
            self.assertLessEqual(set(file.dependency), names)
            self.assertTrue(file.source_code_info.location, file.name)
        self.assertEqual({file.package for file in api.file},
                         {"google.protobuf", "google.rpc", "grpc.health.v1",
                          "waggle.v1"})
        protos = {f"waggle/v1/{path.name}" for path in
                  (self.root / "share/waggle/proto/waggle/v1").iterdir()}
        self.assertEqual({name for name in names if name.startswith("waggle/")},
                         protos)

    def test_protos_compile_by_themselves(self):
        protos = self.root / "share/waggle/proto"
        out = self.root / "stubs"
        out.mkdir()
        files = sorted(path.relative_to(protos)
                       for path in protos.rglob("*.proto"))
        run("protoc", f"-I{protos}", f"--python_out={out}", *files)
        self.assertTrue((out / "waggle/v1/event_service_pb2.py").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
