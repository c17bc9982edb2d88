"""A load test as JUnit's XML, for a build server: what must be right, what was promised, and whether the run is valid.

A broken rule or promise is a failure. In a run that is invalid every promise is an error: it was not tested.
"""

from typing import Final
from xml.etree import ElementTree as ET

from loadtests.report import Report

_WRONGS: Final = {
    "lost": "no acknowledged text is lost",
    "twice": "no text comes twice",
    "after_stop": "no text comes after a STOP",
    "outside_hours": "no text goes out outside lawful hours",
}


def junit(report: Report) -> str:
    """One suite."""
    suite = ET.Element("testsuite", name="textbank load", time=f"{report.lasted_s:.3f}")
    for name, title in _WRONGS.items():
        count = getattr(report.ledger, name)
        _case(suite, "ledger", title, failure=f"{count:,} texts" if count else "")
    for rule in report.rules:
        _case(suite, "validity", rule.rule, failure="" if rule.held else f"{rule.seen}, wanted {rule.wanted}")
    for promise in report.promises:
        said = f"{promise.share:.2%} of {promise.total:,}, promised {promise.wanted:.2%}"
        _case(
            suite,
            "objectives",
            promise.title,
            failure=said if promise.held is False else "",
            error="the run is invalid" if report.verdict == "invalid" else "",
            skipped="nothing happened of it" if promise.held is None else "",
        )
    for kind, count in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(kind, str(len(suite.findall(f"testcase/{count}"))))
    suite.set("tests", str(len(suite)))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(
    suite: ET.Element, group: str, name: str, *, failure: str = "", error: str = "", skipped: str = ""
) -> None:
    """The gravest of what is said of it counts."""
    case = ET.SubElement(suite, "testcase", classname=f"textbank.load.{group}", name=name)
    for kind, message in (("error", error), ("failure", failure), ("skipped", skipped)):
        if message:
            ET.SubElement(case, kind, message=message)
            return
