"""Make the pictures of the workbook and of the terminal, from real runs against the sandbox.

Run ``python docs/make_pictures.py`` with batchrun and its extra ``dev`` installed; it needs
``soffice`` and ``pdftoppm`` (Debian: ``apt-get install libreoffice-calc poppler-utils
fonts-crosextra-carlito``; that font's letters are as wide as Calibri's). The sandbox draws its
results from the list, so the pictures of the workbook change only with the code.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from make_first_hour import (
    RUN,
    SPEED,
    batchrun_of_this_environment,
    desk,
    kill,
    on_screen,
    sandbox_on,
)
from rich.console import Console
from rich.text import Text
from rich_batch import rich_batch

import batchrun
from batchrun.sandbox import SandboxSettings, running
from batchrun.workbook.excel import write_excel
from batchrun.workbook.form import Audience, Form

DOCS = Path(__file__).parent
LIST = DOCS.parent / "sample_data" / "salesforce_accounts.csv"
SEED = 7
LARGE, SMALL = 300, 5
LARGE_PICTURES = {
    "workbook-300.png": ("Overview", "A1:L51"),
    "workbook-300-results.png": ("Results", "A1:AC14"),
    "workbook-300-attention.png": ("Needs attention", "A1:I30"),
    "workbook-300-changes.png": ("Changes", "A1:G30"),
}
SMALL_PICTURES = {
    "workbook-5.png": ("Overview", "A1:L26"),
    "workbook-5-results.png": ("Results", "A1:AB6"),
}
PAPERS = {"a4": 9, "letter": 1}
"""Excel's numbers of paper sizes."""
PICTURES = {
    "workbook.png": ("Results", "A1:W12"),
    "workbook-overview.png": ("Overview", "A1:L52"),
    "workbook-attention.png": ("Needs attention", "A1:I12"),
    "workbook-insights.png": ("Insights", "A1:H22"),
    "workbook-columns.png": ("Columns", "A1:J36"),
}
DOTS_PER_INCH = 150
TERMINAL_COLUMNS = 100
TRIGGERS = 29
"""How many pass before the picture is taken: the bar shows a number of twenties for sure."""


def main() -> None:
    """Run the list, of which some fail, and picture each sheet of its workbook."""
    with tempfile.TemporaryDirectory() as folder:
        workbook = run(Path(folder))
        for name, (sheet, area) in PICTURES.items():
            picture(workbook, sheet, area, DOCS / name)
            print(DOCS / name)
        for rows, pictures in ((LARGE, LARGE_PICTURES), (SMALL, SMALL_PICTURES)):
            workbook = Path(folder) / f"{rows}.xlsx"
            write_excel(rich_batch(rows), workbook, Form(audience=Audience.PEOPLE))
            for name, (sheet, area) in pictures.items():
                picture(workbook, sheet, area, DOCS / name)
                print(DOCS / name)
            for paper, number in PAPERS.items():
                name = f"workbook-{rows}-{paper}.png"
                pages(workbook, number, DOCS / name)
                print(DOCS / name)
    if "--workbook" not in sys.argv:
        terminal(DOCS / "running.svg")


def terminal(target: Path) -> None:
    """Picture a terminal in the middle of a run."""
    heard = io.BytesIO()
    command = f"{RUN} --yes"
    with desk() as new:
        batchrun = batchrun_of_this_environment(new)
        with sandbox_on(new, batchrun, with_key=True):
            assert new.gate is not None
            new.gate.hold_after(TRIGGERS)
            running = new.start(f"{batchrun} {command}")
            running.logfile_read = heard
            bar_and_line = r"2\d/60.*?(this minute|waiting for the quota).*?\r"
            running.expect(bar_and_line)
            kill(running)
            new.gate.free.set()
    lines = [f"$ batchrun {command}", *on_screen(heard.getvalue(), TERMINAL_COLUMNS)]
    console = Console(width=TERMINAL_COLUMNS, record=True, file=io.StringIO())
    console.print(Text("\n".join(lines)))
    svg = console.export_svg(title="batchrun")
    # The fonts of the network would be loaded by nobody: a page shows pictures without them.
    target.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")


def run(folder: Path) -> Path:
    """Run the sample list against a sandbox in which one execution of eight fails."""
    workbook = folder / "salesforce_accounts.results.xlsx"
    with running(SandboxSettings(fail=0.12, seed=SEED, rate_per_minute=None), speed=SPEED) as url:
        settings = batchrun.load_settings(
            api_key="sandbox", base_url=url, speed=SPEED, journal=str(folder / "sandbox.db")
        )
        batchrun.run(LIST, "Account Research", output=workbook, limit=56, settings=settings)
    return workbook


def picture(workbook: Path, sheet: str, area: str, target: Path) -> None:
    """Picture the cells of an area as on a screen: with the grid, letters and numbers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one_page = folder / "page.xlsx"
        show_only(workbook, sheet, area, one_page)
        to_pdf(one_page, folder)
        page = one_page.with_suffix(".pdf")
        command = ["pdftoppm", "-r", str(DOTS_PER_INCH), "-f", "1", "-l", "1", "-png"]
        subprocess.run([*command, "-singlefile", page, folder / "page"], check=True)
        trim(folder / "page.png", target)


def pages(workbook: Path, paper: int, target: Path) -> None:
    """Picture the first pages of a workbook as they are printed, one below the other."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        printed = folder / "printed.xlsx"
        with zipfile.ZipFile(workbook) as source, zipfile.ZipFile(printed, "w") as copy:
            for part in source.namelist():
                text = source.read(part)
                if part.startswith("xl/worksheets/sheet"):
                    setup = f'<pageSetup paperSize="{paper}" '
                    text = text.decode().replace("<pageSetup ", setup).encode()
                copy.writestr(part, text)
        to_pdf(printed, folder)
        command = ["pdftoppm", "-r", "72", "-f", "1", "-l", "3", "-png"]
        subprocess.run([*command, printed.with_suffix(".pdf"), folder / "page"], check=True)
        images = [Image.open(each).convert("RGB") for each in sorted(folder.glob("page*.png"))]
        width, height = images[0].size
        joined = Image.new("RGB", (width, (height + 6) * len(images)), "gray")
        for at, image in enumerate(images):
            joined.paste(image, (0, at * (height + 6)))
        joined.quantize(64).save(target, optimize=True)


def to_pdf(workbook: Path, folder: Path) -> None:
    """Print a workbook into a PDF of its name."""
    subprocess.run(
        [
            "soffice",
            f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            *("--headless", "--convert-to", "pdf", "--outdir", str(folder), str(workbook)),
        ],
        check=True,
        capture_output=True,
    )


def show_only(workbook: Path, sheet: str, area: str, target: Path) -> None:
    """Copy a workbook so that it prints as one page with one area of one sheet.

    The parts are edited as text, because openpyxl would drop the charts.
    """
    with zipfile.ZipFile(workbook) as source, zipfile.ZipFile(target, "w") as copy:
        book = source.read("xl/workbook.xml").decode()
        titles = re.findall(r'<sheet [^>]*name="([^"]*)"', book)
        number = titles.index(sheet)
        for name in source.namelist():
            text = source.read(name)
            if name == "xl/workbook.xml":
                text = visible_only(book, titles, number, area).encode()
            elif name == f"xl/worksheets/sheet{number + 1}.xml":
                text = fitted(text.decode(), grid=sheet != "Overview").encode()
            copy.writestr(name, text)


def visible_only(book: str, titles: list[str], number: int, area: str) -> str:
    """Hide the other sheets and say what is printed of this one."""
    for position, title in enumerate(titles):
        if position != number:
            book = re.sub(rf'(name="{re.escape(title)}"[^>]*state=)"visible"', r'\1"hidden"', book)
    cells = re.sub(r"([A-Z]+)(\d+)", r"$\1$\2", area)
    quoted = titles[number].replace("'", "''")
    area_name = (
        f'<definedNames><definedName name="_xlnm.Print_Area" localSheetId="{number}">'
        f"'{quoted}'!{cells}</definedName></definedNames>"
    )
    book = re.sub(r"<definedNames>.*</definedNames>", area_name, book, flags=re.DOTALL)
    return re.sub(r'(firstSheet|activeTab)="\d+"', rf'\1="{number}"', book)


def fitted(sheet: str, *, grid: bool) -> str:
    """Let a sheet print on one page, with the grid and its letters and numbers if wanted."""
    sheet = re.sub(r"<pageSetUpPr[^>]*/>", '<pageSetUpPr fitToPage="1"/>', sheet)
    sheet = re.sub(r"<(printOptions|pageSetup)\b[^>]*/>", "", sheet)
    sheet = re.sub(r"<headerFooter\b.*?</headerFooter>", "", sheet, flags=re.DOTALL)
    options = '<printOptions headings="1" gridLines="1"/>' if grid else ""
    margins = '<pageMargins left="0.1" right="0.1" top="0.1" bottom="0.1" header="0" footer="0"/>'
    setup = '<pageSetup orientation="landscape" paperSize="8" fitToWidth="1" fitToHeight="1"/>'
    return re.sub(r"<pageMargins[^>]*/>", options + margins + setup, sheet)


def trim(page: Path, target: Path) -> None:
    """Cut the white margin off."""
    from PIL import Image, ImageChops

    with Image.open(page) as image:
        picture = image.convert("RGB")
        white = Image.new("RGB", picture.size, "white")
        box = ImageChops.difference(picture, white).getbbox()
        picture.crop(box).quantize(256).save(target, optimize=True)


if __name__ == "__main__":
    main()
