"""The daily report: static pages for people who do not open Dagster, read from the warehouse's own books."""

from cdp_platform.reports.pages import write_reports

__all__ = ["write_reports"]
