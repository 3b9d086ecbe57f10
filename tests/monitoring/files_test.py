"""The alerting rules are valid, tested, and explained to whoever is woken; the
dashboard can be put on any Grafana and says what it shows."""

import re
import tempfile
import unittest

import monitoring
import yaml


def anchors(markdown):
    """The anchors that headings of a Markdown page have."""
    result = set()
    for heading in re.findall(r"^#+ (.+)$", markdown, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        result.add(plain.replace(" ", "-"))
    return result


class RulesTest(unittest.TestCase):

    maxDiff = None

    def test_rules_are_valid(self):
        done = monitoring.promtool("check", "rules", "--lint-fatal",
                                   "alerts.yaml")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_alerts_come_and_stay_away_as_told(self):
        done = monitoring.promtool("test", "rules", *monitoring.RULE_TESTS)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_alert_is_seen_to_come_and_to_stay_away(self):
        comes, stays_away = set(), set()
        for name in monitoring.RULE_TESTS:
            text = (monitoring.MONITORING / name).read_text()
            for test in yaml.safe_load(text)["tests"]:
                for case in test["alert_rule_test"]:
                    seen = comes if case.get("exp_alerts") else stays_away
                    seen.add(case["alertname"])
        names = {alert["alert"] for alert in monitoring.alerts()}
        self.assertEqual(comes, names)
        self.assertEqual(stays_away, names)

    def test_alerts_say_how_bad_what_and_where_to_read_on(self):
        known = anchors(monitoring.RUNBOOK.read_text())
        for alert in monitoring.alerts():
            with self.subTest(alert["alert"]):
                self.assertIn(alert["labels"]["severity"],
                              ("critical", "warning"))
                notes = alert["annotations"]
                self.assertEqual(set(notes),
                                 {"summary", "description", "runbook_url"})
                page, _, anchor = notes["runbook_url"].partition("#")
                self.assertTrue(page.endswith("/docs/OPERATIONS.md"), page)
                self.assertEqual(anchor, alert["alert"].lower())
                self.assertIn(anchor, known)


class DashboardTest(unittest.TestCase):

    def test_panels_say_what_they_answer_in_which_unit(self):
        panels = monitoring.panels()
        ids = [panel["id"] for panel in monitoring.dashboard()["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        covered = set()
        for panel in panels:
            with self.subTest(panel["title"]):
                self.assertTrue(panel["title"])
                self.assertIn("?", panel["description"])
                self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])
                self.assertEqual(panel["datasource"]["uid"], "${datasource}")
                place = panel["gridPos"]
                cells = {(x, y)
                         for x in range(place["x"], place["x"] + place["w"])
                         for y in range(place["y"], place["y"] + place["h"])}
                self.assertFalse(covered & cells, "on another panel")
                self.assertLessEqual(place["x"] + place["w"], 24)
                covered |= cells
                for target in panel["targets"]:
                    self.assertEqual(target["datasource"]["uid"],
                                     "${datasource}")

    def test_queries_are_valid(self):
        queries = [target["expr"].replace("$__rate_interval", "5m")
                   for panel in monitoring.panels()
                   for target in panel["targets"]]
        rules = {"groups": [{"name": "dashboard", "rules": [
            {"record": f"query:{number}", "expr": query}
            for number, query in enumerate(queries)]}]}
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(rules, file)
            file.flush()
            done = monitoring.promtool("check", "rules", file.name)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    monitoring.main()
