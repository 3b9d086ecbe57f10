"""Runs the cases of a module beside each other: they mostly wait."""

import argparse
import concurrent.futures
import sys
import time
import unittest


def main(module):
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", action="append", metavar="TEXT", default=[],
                        help="only cases whose name holds the text; repeatable")
    parser.add_argument("-j", type=int, default=4, metavar="N",
                        help="so many at once; default %(default)s")
    args = parser.parse_args()
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    cases = [case for case in _cases(suite)
             if not args.k or any(text in case.id() for text in args.k)]
    if not cases:
        parser.error("no case has such a name")
    with concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        passed = list(pool.map(_run, cases))
    print(f"{sum(passed)} of {len(passed)} passed", flush=True)
    sys.exit(0 if all(passed) else 1)


def _cases(suite):
    for member in suite:
        if isinstance(member, unittest.TestCase):
            yield member
        else:
            yield from _cases(member)


def _run(case):
    result = unittest.TestResult()
    began = time.monotonic()
    case.run(result)
    name = case.id().partition(".")[2]
    verdict = "ok" if result.wasSuccessful() else "FAILED"
    text = f"{verdict:6} {name} ({time.monotonic() - began:.1f} s)"
    for _, trace in result.failures + result.errors:
        text += "\n" + trace
    print(text, flush=True)
    return result.wasSuccessful()
