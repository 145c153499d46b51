"""Fuzz the loader: whatever the bytes are, the end is a table or a clean refusal.

Run from the repository: ``python -m tests.fuzz.loading --minutes 10 --seed 1``.

Inputs are files of the corpus, bent: bytes flipped, cut, doubled, pieces of other files put in;
in a workbook also inside its parts, which are packed again, so that the mutation gets past the
archive, and its structure: merges, places of cells, styles, hidden rows, the order of sheets.
Others are only spelled in another way: other quotes, white space and prefixes, which must not
change what is read. Each is loaded in a child process that takes many: one that dies, hangs,
or raises anything but an ``InputError`` is a finding, as is another table in another spelling;
its file is kept in ``fuzz-findings/``.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import multiprocessing
import random
import re
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.errors import InputError
from batchrun.tables.files import load
from batchrun.tables.options import LoadLimits
from tests.corpus.cases import FILES
from tests.corpus.spelling import Spelling, respelled
from tests.tables.files import cells, lines

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from batchrun.model import Table

FINDINGS = Path("fuzz-findings")
MAX_SECONDS = 20.0
MAX_BYTES = 300_000
LIMITS = LoadLimits(cells=5_000_000)

TOKENS = (
    b'"', b'""', b",", b";", b"\t", b"|", b"\r", b"\n", b"\r\n", b"\0", b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"sep=;\n", b"Total", b"<row r=\"9999999\">", b"<c r=\"XFD1048576\"><v>1</v></c>", b"</row>",
    b't="e"', b't="s"', b"<v>99999999999</v>", b"<f>", b"</f>", b"<is><t>", b"&amp;", b"&#0;",
    b"<!DOCTYPE x>", b'hidden="1"', b"\xff" * 4, b"\x7f\xff\xff\xff", b"-1", b"1e999", b"]]>",
    b"<!--", b"t='e'", b"hidden = '1'", b" r='B2'", b"<x:row r='3' hidden='1'>", b"<![CDATA[",
    b"<x:c t = 'e'><x:v>#N/A</x:v></x:c>", b"<rowBreaks/>", b"<v>#SPILL!</v>",
    b"<r><t> </t></r>", b"<t>\n</t>", b'<r><t xml:space="preserve"> </t></r>', b"<x:t> </x:t>",
)  # fmt: skip


def mutate(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """Bend some bytes in a few places."""
    bent = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        at = chance.randrange(len(bent) + 1)
        end = min(len(bent), at + chance.choice((1, 2, 8, 64, 512)))
        match chance.randrange(6):
            case 0 if bent and at < len(bent):
                bent[at] ^= 1 << chance.randrange(8)
            case 1:
                del bent[at:end]
            case 2:
                bent[at:at] = bent[at:end] * chance.choice((1, 2, 16))
            case 3:
                bent[at:at] = chance.choice(TOKENS)
            case 4:
                start = chance.randrange(len(other) + 1)
                bent[at:at] = other[start : start + chance.choice((4, 32, 256))]
            case _:
                bent[at:end] = chance.randbytes(end - at)
    return bytes(bent)


def restructure(parts: dict[str, bytes], chance: random.Random) -> None:
    """Change what a sheet is made of: merges, places, styles, hidden rows, the order of sheets."""
    sheets = [name for name in parts if "worksheets/" in name and name.endswith(".xml")]
    if not sheets:
        return
    name = chance.choice(sheets)
    sheet = parts[name]

    def place() -> bytes:
        return f"{chance.choice('ABCDE')}{chance.randrange(1, 9)}".encode()

    match chance.randrange(7):
        case 0:
            merged = b"".join(
                b'<mergeCell ref="' + place() + b":" + place() + b'"/>' for _ in range(3)
            )
            merges = b"</sheetData><mergeCells>" + merged + b"</mergeCells>"
            parts[name] = sheet.replace(b"</sheetData>", merges, 1)
        case 1:
            book = parts.get("xl/workbook.xml", b"")
            listed = re.findall(rb"<sheet [^>]*/>", book)
            chance.shuffle(listed)
            turn = iter(listed)
            parts["xl/workbook.xml"] = re.sub(rb"<sheet [^>]*/>", lambda _: next(turn), book)
        case 2:
            style = str(chance.choice((0, 1, 7, 99, 99_999))).encode()
            parts[name] = re.sub(rb' s="\d+"', b' s="' + style + b'"', sheet, count=3)
        case 3:
            mark = chance.choice((b' hidden="1"', b' ht="0"', b' hidden="false"', b' spans="1:1"'))
            parts[name] = sheet.replace(b"<row ", b"<row" + mark + b" ", chance.randrange(1, 4))
        case 4:
            parts[name] = re.sub(rb' r="[A-Z]+\d+"', b' r="' + place() + b'"', sheet, count=2)
        case 5:
            rows = re.findall(rb"<row .*?</row>", sheet, re.DOTALL)
            if rows:
                row, other = chance.choice(rows), chance.choice(rows)
                parts[name] = sheet.replace(row, chance.choice((b"", row + row, other)), 1)
        case _:
            columns = b'<cols><col min="1" max="16384" hidden="1"/></cols><sheetData'
            parts[name] = sheet.replace(b"<sheetData", columns, 1)


def mutate_workbook(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """Bend one part of a workbook, and pack it again."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in dict.fromkeys(archive.namelist())}
    name = chance.choice(list(parts))
    if sum(map(len, parts.values())) > MAX_BYTES:
        return mutate(content, other, chance)
    if chance.random() < 0.5:
        for _ in range(chance.choice((1, 2, 3))):
            restructure(parts, chance)
    else:
        parts[name] = mutate(parts[name], other, chance)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, text in parts.items():
            archive.writestr(part, text)
    return stream.getvalue()


def bend(seeds: list[tuple[str, bytes]], chance: random.Random) -> tuple[str, bytes]:
    """A file to try, and the name of the one it was made of."""
    name, content = chance.choice(seeds)
    _, other = chance.choice(seeds)
    if content.startswith(b"PK\x03\x04") and chance.random() < 0.8:
        try:
            return name, mutate_workbook(content, other, chance)
        except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError):
            pass  # the seed itself is damaged
    return name, mutate(content, other, chance)


def spell(content: bytes, chance: random.Random) -> bytes:
    """The same workbook with its XML in another spelling."""
    gaps = (" ", " ", "\n", "\t ", "\r\n  ")
    spelling = Spelling(
        quote=chance.choice("\"'"),
        equals=chance.choice(("=", "=", " = ", "= ", " =", "\n=")),
        gap=chance.choice(gaps),
        end=chance.choice(("", "", *gaps)),
        prefix=chance.choice(("", "", "x:", "c:", "row:", "main-1.ü:")),
        backwards=chance.random() < 0.3,
        whole=chance.random() < 0.3,
        between=chance.choice(("", "", "\n", "\r\n\t")),
    )
    parts = chance.choice(("xl/worksheets/", "xl/", ""))
    return respelled(content, spelling, lambda name: name.startswith(parts))


def digest(table: Table) -> str:
    """What stands for all that is read of a list."""
    told = repr((table.source.sheet, table.source.notices, table.header))
    read = repr(cells(table)) + repr(lines(table))
    return hashlib.sha256((told + read).encode("utf-8", "surrogatepass")).hexdigest()


def serve(pipe: Connection) -> None:
    """The child: load file after file, and say how each ended."""
    while (path := pipe.recv()) is not None:
        try:
            table = load(path, limits=LIMITS)
        except InputError as refused:
            lines = len(str(refused).splitlines())
            pipe.send("refused" if lines <= 2 else f"a refusal of {lines} lines: {refused}")
        except BaseException as error:
            pipe.send(f"{type(error).__name__}: {error}")
        else:
            pipe.send(f"read {digest(table)}")


class Child:
    """A process that loads, started again when it dies."""

    def __init__(self) -> None:
        self._pipe, end = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=serve, args=(end,), daemon=True)
        self._process.start()
        end.close()

    def load(self, path: Path) -> str:
        """How loading a file ends; ``died`` and ``hung`` need a new child."""
        self._pipe.send(str(path))
        try:
            return str(self._pipe.recv()) if self._pipe.poll(MAX_SECONDS) else "hung"
        except EOFError:
            return "died"

    def end(self) -> None:
        """Stop the process."""
        self._process.kill()
        self._process.join()


def main() -> None:
    """Fuzz for a while and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default="csv txt xlsx xlsm xls xlsb ods xml html")
    given = parser.parse_args()
    kinds = tuple(f".{kind}" for kind in given.kinds.split())
    files = [path for path in sorted(FILES.iterdir()) if path.suffix in kinds]
    seeds = [(path.name, path.read_bytes()) for path in files]
    seeds = [(name, content) for name, content in seeds if len(content) < MAX_BYTES]
    chance = random.Random(given.seed)
    FINDINGS.mkdir(exist_ok=True)
    trial = FINDINGS / f"trial-{given.seed}"
    ends: Counter[str] = Counter()
    child = Child()

    def tried(content: bytes) -> str:
        nonlocal child
        trial.write_bytes(content)
        end = child.load(trial)
        if end in {"died", "hung"}:
            child.end()
            child = Child()
        return end

    workbooks = [(name, content) for name, content in seeds if is_workbook(content)]
    unbent = {name: tried(content) for name, content in workbooks}
    until = time.monotonic() + given.minutes * 60
    while time.monotonic() < until:
        if workbooks and chance.random() < 0.1:
            name, content = chance.choice(workbooks)
            content = spell(content, chance)
            end = tried(content)
            if end != unbent[name]:
                end = f"{end} in another spelling, {unbent[name]} before"
        else:
            name, content = bend(seeds, chance)
            end = tried(content)
        kind = end.partition(" ")[0] if end.count(" ") < 2 else "other"
        if kind not in {"read", "refused"}:
            ends["findings"] += 1
            kept = FINDINGS / f"{given.seed}-{ends['findings']}-{name}"
            kept.write_bytes(content)
            print(f"{kept}: {end}", flush=True)
        ends[kind if kind in {"read", "refused"} else "other"] += 1
    child.end()
    trial.unlink()
    total = ends["read"] + ends["refused"] + ends["other"]
    print(
        f"{total:,} files in {given.minutes:g} minutes (seed {given.seed}): {ends['read']:,} read,"
        f" {ends['refused']:,} refused, {ends['findings']:,} findings"
    )


def is_workbook(content: bytes) -> bool:
    """Whether it is an XLSX file that can be rewritten."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            texts = [name for name in names if name.endswith((".xml", ".rels"))]
            return (
                len(set(names)) == len(names)
                and "xl/workbook.xml" in names
                and sum(archive.getinfo(name).file_size for name in names) < MAX_BYTES
                and all(archive.read(name).decode() is not None for name in texts)
            )
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError):
        return False


if __name__ == "__main__":
    main()
