"""The report: verdicts become one page of HTML that needs nothing else, not even a script."""

from mdtree.report.page import report_page
from mdtree.report.style import COLOURS

__all__ = ["COLOURS", "report_page"]
