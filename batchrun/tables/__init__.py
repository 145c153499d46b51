"""Load a list from a file into a `Table`, and find its ID columns.

::

    files.py           path → Table: opens the file and calls its reader
    ├── formats.py         detects the file format from the bytes
    ├── text.py            CSV and other delimited text, with encoding.py
    ├── html.py            HTML tables, often named .xls
    └── workbooks.py       workbooks: which sheet; isolated.py runs their readers in a process:
        xlsx.py                XLSX and XLSM, with archive.py
        calamine.py            XLS, XLSB and ODS
        spreadsheetml.py       Excel 2003 XML; parquet.py
    build.py           numbered rows → Table, in these steps:
    ├── header.py          finds the header
    ├── frames.py          collects the rows below it in columns; store.py keeps large lists on disk
    └── reports.py         sets aside rows of a report, and finds a second header
    roles.py           finds the ID columns; ids.py parses a cell

Import from these modules: the process that reads a workbook needs few of them.
"""
