"""What the tests of monitoring/ share: its files, taken apart."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import yaml

SOURCE = pathlib.Path(__file__).resolve().parents[2]
MONITORING = SOURCE / "monitoring"
RUNBOOK = SOURCE / "docs" / "OPERATIONS.md"
RULE_TESTS = ("alerts_test.yaml", "alerts_days_test.yaml")

# What ctest takes for "skipped".
SKIPPED = 77


def promtool(*args, stdin=None):
    """Runs promtool; what it wrote is text."""
    return subprocess.run(["promtool", *map(str, args)], input=stdin, text=True,
                          capture_output=True, check=False, cwd=MONITORING)


def rules():
    """The rules of alerts.yaml, in order."""
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts():
    return [rule for rule in rules() if "alert" in rule]


def dashboard():
    return json.loads((MONITORING / "dashboard.json").read_text())


def panels():
    """The panels of the dashboard that show something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


_TOKEN = re.compile(r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<string>"(?:[^"\\]|\\.)*"|'[^']*')
  | (?P<range>\[[^]]*\])
  | (?P<number>\d+(?:\.\d+)?[a-z]*)
  | (?P<word>[a-zA-Z_:][a-zA-Z0-9_:]*)
  | (?P<operator>=~|!~|!=|==|>=|<=|[-+*/%^=<>(){},])
  """, re.VERBOSE)


def _tokens(expression):
    position = 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        assert match, f"not PromQL: {expression[position:]!r}"
        position = match.end()
        if match.lastgroup != "space":
            yield match.lastgroup, match[0]


class Query:
    """What a PromQL expression names.

    selectors: {metric: [(label, operator, value), ...]}, of all its uses.
    grouped: the labels of by, without, on, ignoring and group_left.
    """

    _GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
    _WORDS = _GROUPING | {"and", "or", "unless", "bool", "offset"}

    def __init__(self, expression):
        self.selectors = {}
        self.grouped = set()
        tokens = [*_tokens(expression), ("end", "")]
        at = 0
        while tokens[at][0] != "end":
            kind, text = tokens[at]
            following = tokens[at + 1][1]
            at += 1
            if kind != "word":
                continue
            if text in self._GROUPING and following == "(":
                while tokens[at][1] != ")":
                    if tokens[at][0] == "word":
                        self.grouped.add(tokens[at][1])
                    at += 1
            # What an operator like sum or a function like rate applies to
            # follows, or first how it is grouped.
            elif text not in self._WORDS and following != "(" and (
                    following not in self._GROUPING):
                matchers = self.selectors.setdefault(text, [])
                if following == "{":
                    while tokens[at][1] != "}":
                        if tokens[at][0] == "word":
                            matchers.append((tokens[at][1], tokens[at + 1][1],
                                             tokens[at + 2][1][1:-1]))
                        at += 1


def main():
    if shutil.which("promtool") is None:
        print("skipped: promtool is missing; it is in Debian's package "
              "prometheus, see scripts/install-deps --ci")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)
