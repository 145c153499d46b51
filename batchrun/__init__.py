"""Run a PG:AI workflow for every row of a spreadsheet and hand back a finished Excel workbook."""

__version__ = "0.1.0"
