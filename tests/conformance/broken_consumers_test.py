"""The suite finds what it is there to find: consumers with one fault each."""

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent

# The fault, and the case that has to find it.
FAULTS = {
    "stores_first": "test_killed_at_any_moment_it_resumes_at_its_cursor",
    "writes_in_place": "test_killed_at_any_moment_it_resumes_at_its_cursor",
    "forgets_its_cursor": "test_passing_errors_are_retried_with_the_cursor",
    "ignores_retry_info": "test_retry_info_is_heeded",
    "retries_everything": "test_permanent_errors_end_it",
    "guesses_gaps": "test_a_gap_is_known_by_the_gateways_reason_alone",
    "drops_the_unknown": "test_what_a_newer_gateway_sends_is_printed",
    "reads_ahead": "test_a_slow_reader_slows_its_stream",
    "keeps_its_connection": "test_a_dead_connection_is_noticed_by_its_silence",
}


class BrokenConsumersTest(unittest.TestCase):

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="waggle-test-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def suite(self, fault, cases):
        """Runs some cases against the consumer with a fault."""
        build = os.path.join(self.directory, fault)
        pathlib.Path(build + ".built").touch()
        flags = [flag for case in sorted(cases) for flag in ("-k", case)]
        return subprocess.run(
            [sys.executable, "-B", HERE / "conformance_test.py", *flags],
            env={**os.environ,
                 "WAGGLE_TEST_CONSUMER": str(HERE / "broken_consumer.py"),
                 "WAGGLE_TEST_CONSUMER_DIRECTORY": build},
            capture_output=True, text=True, check=False)

    def test_the_consumer_without_a_fault_passes(self):
        done = self.suite("none", set(FAULTS.values()))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_fault_is_found(self):
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            runs = {fault: pool.submit(self.suite, fault, {case})
                    for fault, case in FAULTS.items()}
        for fault, run in runs.items():
            with self.subTest(fault):
                done = run.result()
                output = done.stdout + done.stderr
                self.assertEqual(done.returncode, 1, output)
                self.assertRegex(done.stdout, rf"FAILED \w+\.{FAULTS[fault]}")
                # By what it found, not by an error of the suite's own.
                self.assertRegex(done.stdout, "AssertionError", output)


if __name__ == "__main__":
    unittest.main(verbosity=2)
