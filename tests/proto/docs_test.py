"""docs/API.md agrees with the protos, and its links lead somewhere."""

import pathlib
import re
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
DOCS = SOURCE / "docs"
API = (DOCS / "API.md").read_text()


def anchors(markdown):
    """The anchors that headings of a Markdown page have."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in headings}


class DocsTest(unittest.TestCase):

    maxDiff = None

    def test_every_reason_is_explained_with_its_code(self):
        told = set(re.findall(r"^\| `([A-Z_]+)` \| `([A-Z_]+)` \|", API, re.M))
        protos = SOURCE / "proto/waggle/v1"
        events = (protos / "event_service.proto").read_text()
        deliveries = (protos / "delivery_service.proto").read_text()
        listed = set(re.findall(r"^//   ([A-Z_]+) +([A-Z_]+) ", events, re.M))
        of_deliveries = re.findall(r"\b([A-Z_]+_NOT_FOUND) \(([A-Z_]+)\)",
                                   deliveries)
        self.assertEqual(len(of_deliveries), 1)
        self.assertEqual(told, listed | set(of_deliveries))

    def test_links_lead_somewhere(self):
        for name in "API.md", "API_REFERENCE.md":
            page = (DOCS / name).read_text()
            links = re.findall(r"\]\(([^)]+)\)", page)
            self.assertTrue(links)
            for link in set(links):
                with self.subTest(f"{name}: {link}"):
                    if link.startswith("https://"):
                        continue
                    path, _, anchor = link.partition("#")
                    target = DOCS / path if path else DOCS / name
                    self.assertTrue(target.exists())
                    if anchor:
                        self.assertIn(anchor, anchors(target.read_text()))


if __name__ == "__main__":
    unittest.main(verbosity=2)
