"""scripts/check-api refuses what would break those who use a released API, and
nothing else: shown by changes to a copy of proto/."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import go_tool

SOURCE = go_tool.SOURCE

EVENT = "proto/waggle/v1/event.proto"
SERVICE = "proto/waggle/v1/event_service.proto"
# Not released when this was written: without a tag it may still change.
DELIVERY = "proto/waggle/v1/delivery.proto"
CONFIG = "proto/waggle/config/v1/config.proto"
RELEASE = "tests/golden/0.1.0/proto"

EXCEPTION = ("  ignore_only:\n"
             "    FIELD_NO_DELETE:\n"
             "      - proto/waggle/v1/event.proto\n")
URL = ("  // The destination that Bindbee posted to.\n"
       "  string url = 2;\n")


class CheckApiTest(unittest.TestCase):

    maxDiff = None

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="waggle-test-")
        self.addCleanup(directory.cleanup)
        self.tree = pathlib.Path(directory.name)
        shutil.copy(SOURCE / "buf.yaml", self.tree)
        shutil.copytree(SOURCE / "proto", self.tree / "proto")
        shutil.copytree(SOURCE / RELEASE, self.tree / RELEASE)

    def edit(self, path, old, new):
        """Replaces what is there exactly once; returns what undoes it."""
        file = self.tree / path
        before = file.read_text()
        self.assertEqual(before.count(old), 1, old)
        file.write_text(before.replace(old, new))
        return lambda: file.write_text(before)

    def check(self):
        """What failed, and everything that was said."""
        # No git beyond the copy.
        env = {**os.environ, "GIT_CEILING_DIRECTORIES": str(self.tree.parent)}
        done = subprocess.run([SOURCE / "scripts/check-api", self.tree],
                              env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        failed = set(re.findall(r"^check-api: (.*): FAILED$", done.stdout,
                                re.MULTILINE))
        self.assertEqual(done.returncode, 1 if failed else 0, done.stdout)
        return failed, done.stdout

    def assert_passes(self):
        failed, output = self.check()
        self.assertEqual(failed, set(), output)
        self.assertIn(f"check-api: against {RELEASE}: passed", output)

    def test_what_is_there_passes(self):
        self.assert_passes()

    def test_additions_pass(self):
        self.edit(EVENT, URL, URL + "  // Its name.\n  string name = 3;\n")
        self.edit(EVENT, "  CATEGORY_LMS = 3;\n",
                  "  CATEGORY_LMS = 3;\n  // \"CRM\".\n  CATEGORY_CRM = 4;\n")
        self.edit(EVENT, "    Unrecognized unrecognized = 15;\n",
                  "    Unrecognized unrecognized = 15;\n"
                  "    // For something new.\n"
                  "    Webhook something = 17;\n")
        self.assert_passes()

    def test_deprecation_passes(self):
        self.edit(EVENT, "string url = 2;",
                  "string url = 2 [deprecated = true];")
        self.assert_passes()

    def test_what_breaks_users_of_a_release_is_refused(self):
        position = ("    // At one end of what is retained.\n"
                    "    StartPosition position = 4;\n")
        webhook = "message Webhook {\n"
        reserved = 'message Webhook {\n  reserved 2;\n  reserved "url";\n\n'
        cases = {
            "a field is gone": (EVENT, URL, ""),
            "a field has another number": (EVENT, "url = 2;", "url = 3;"),
            "a field has another name": (EVENT, "string url", "string uri"),
            "a field has another type": (EVENT, "string url", "bytes url"),
            "a field is repeated": (EVENT, "string url", "repeated string url"),
            "a field has presence":
                (EVENT, "string url", "optional string url"),
            "a field has another name in JSON":
                (EVENT, "string url = 2;",
                 'string url = 2 [json_name = "destination"];'),
            "a field leaves its oneof":
                (SERVICE, f"{position}  }}\n", f"  }}\n\n{position}"),
            "a message is gone":
                (EVENT, "message ModelChange {", "message ModelChanged {",
                 ("repeated ModelChange ", "repeated ModelChanged ")),
            "an enum's value is gone":
                (EVENT,
                 '  // "MANUAL": by hand.\n  SYNC_TYPE_MANUAL = 2;\n', ""),
            "an enum's value has another number":
                (EVENT, "SYNC_TYPE_MANUAL = 2", "SYNC_TYPE_MANUAL = 3"),
            "an enum's value has another name":
                (EVENT, "SYNC_TYPE_MANUAL = 2", "SYNC_TYPE_BY_HAND = 2"),
            "a method is gone":
                (SERVICE, "  // Returns one event by its id.\n"
                          "  rpc GetEvent(GetEventRequest) returns "
                          "(GetEventResponse);\n", ""),
            "a method streams no more":
                (SERVICE, "returns (stream SubscribeResponse)",
                 "returns (SubscribeResponse)"),
            "a key of the configuration is gone":
                (CONFIG, "string max_body_size = 3;", "string body_size = 3;"),
            "a field is gone, though reserved":
                (EVENT, URL, "", (webhook, reserved)),
        }
        for what, (path, old, new, *more) in cases.items():
            with self.subTest(what):
                before = (self.tree / path).read_text()
                self.edit(path, old, new)
                for further in more:
                    self.edit(path, *further)
                failed, output = self.check()
                self.assertIn(f"against {RELEASE}", failed, output)
                # The change is no more than that.
                self.assertNotIn("lint", failed, output)
                (self.tree / path).write_text(before)
        self.assert_passes()

    def test_an_excepted_removal_still_reserves_number_and_name(self):
        with (self.tree / "buf.yaml").open("a") as config:
            config.write(EXCEPTION)
        self.edit(EVENT, URL, "")
        head = "message Webhook {\n"
        number, name = "  reserved 2;\n", '  reserved "url";\n'
        for rest in "", number, name:
            with self.subTest(rest):
                undo = self.edit(EVENT, head, head + rest)
                failed, output = self.check()
                self.assertIn(f"against {RELEASE}", failed, output)
                undo()
        self.edit(EVENT, head, head + number + name + "\n")
        self.assert_passes()

    def test_style_is_checked(self):
        cases = {
            "another style of names":
                ("lint", EVENT, "string url", "string Url"),
            "no comment":
                ("lint", EVENT, URL, URL + "  string name = 3;\n"),
            "layout":
                ("format", EVENT, "  string url", "    string url"),
        }
        for what, (check, path, old, new) in cases.items():
            with self.subTest(what):
                undo = self.edit(path, old, new)
                failed, output = self.check()
                self.assertIn(check, failed, output)
                undo()

    def test_what_has_no_release_yet_may_change_until_a_tag_has_it(self):
        change = (DELIVERY, "string path = 4;", "string request_path = 4;")
        undo = self.edit(*change)
        self.assert_passes()
        undo()

        def git(*args):
            subprocess.run(
                ["git", "-c", "user.name=test", "-c", "user.email=test@test",
                 *args], cwd=self.tree, check=True, capture_output=True)

        git("init")
        git("add", "--all")
        git("commit", "--message", "a release")
        git("tag", "v9.9.9")
        self.assert_passes()
        self.edit(*change)
        failed, output = self.check()
        self.assertEqual(failed, {"against tag v9.9.9"}, output)


if __name__ == "__main__":
    go_tool.path_of("buf")
    unittest.main(verbosity=2)
