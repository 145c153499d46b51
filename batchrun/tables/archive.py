"""Unpack the ZIP archive of a workbook safely: its declared sizes are not trusted."""

from __future__ import annotations

import copy
import io
import posixpath
import re
import zipfile
import zlib
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING
from xml.parsers import expat

from batchrun.errors import InputError
from batchrun.tables.formats import SAVE_AS, protected
from batchrun.tables.options import RATIO_MATTERS_FROM, LoadLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet
    from typing import IO

CHUNK_BYTES = 256 * 1024
PROLOG_BYTES = 64 * 1024
OVERLAP_BYTES = 1_000
RAISE_LIMIT_HINT = "A limit can be raised by a setting if you trust the file; see docs/loading.md."

_DECLARATION = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)
_ROOT_ELEMENT = re.compile(rb"<[A-Za-z_]")
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError,
    RuntimeError,
)  # fmt: skip


class Archive:
    """The parts of a workbook. Unpacking stops at a part's declared size and at the limits.

    Raises:
        InputError: It is damaged or malicious. Methods that unpack a part raise the same.
    """

    def __init__(self, raw: bytes, name: str, limits: LoadLimits) -> None:
        self.name = name
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(raw))
        except _UNREADABLE as error:
            raise self.damaged() from error
        members = self._zip.infolist()
        self._members = {canonical(each.filename): each for each in members}
        self._refuse_hostile(members, limits)

    @property
    def parts(self) -> AbstractSet[str]:
        """Names of the parts, in lowercase."""
        return self._members.keys()

    def size(self, part: str) -> int:
        """Return the declared unpacked size of a part in bytes; `chunks` never yields more."""
        return self._members[canonical(part)].file_size

    def read(self, part: str) -> bytes:
        """Unpack a whole part."""
        return b"".join(self.chunks(part))

    def chunks(self, part: str) -> Iterator[bytes]:
        """Unpack a part in chunks."""
        left = self.size(part)
        try:
            with self.open(part) as stream:
                while piece := stream.read(CHUNK_BYTES):
                    left -= len(piece)
                    if left < 0:
                        raise self.refused(f"{part} is larger than the archive says")
                    yield piece
        except _UNREADABLE as error:
            raise self.damaged() from error
        if left:
            raise self.damaged()

    def any_block(self, part: str, matches: Callable[[bytes], object]) -> bool:
        """Whether a block of a part matches; blocks overlap, so that no match is cut in two."""
        before = b""
        for chunk in self.chunks(part):
            block = before + chunk
            if matches(block):
                return True
            before = block[-OVERLAP_BYTES:]
        return False

    def beginning(self, part: str, size: int = PROLOG_BYTES) -> bytes:
        """Unpack the first bytes of a part."""
        return next(self.chunks(part), b"")[:size]

    def open(self, part: str) -> IO[bytes]:
        """Open a part; unlike the other methods, does not check its size."""
        member = copy.copy(self._members[canonical(part)])
        member.file_size = 2**62  # otherwise zipfile silently stops at the declared size
        return self._zip.open(member)

    def elements(self, part: str, wanted: set[str]) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the wanted XML elements with their attributes, without prefixes as in calamine."""
        found: list[tuple[str, dict[str, str]]] = []

        def start(name: str, attributes: dict[str, str]) -> None:
            if (local := name.rpartition(":")[2]) in wanted:
                found.append(
                    (local, {key.rpartition(":")[2]: each for key, each in attributes.items()})
                )

        parser = expat.ParserCreate()
        if wanted:
            parser.StartElementHandler = start
        try:
            for chunk in chain(self.chunks(part), [b""]):
                parser.Parse(chunk, not chunk)
                yield from found
                found.clear()
        except (expat.ExpatError, ValueError) as error:  # or an encoding that Python doesn't know
            raise self.damaged() from error

    def require_well_formed(self, part: str) -> None:
        """Refuse damaged XML, which calamine may read for ever. An encrypted part is not XML."""
        if part in self.parts and self.beginning(part).startswith(b"<"):
            deque(self.elements(part, set()), maxlen=0)

    def relations(self, part: str) -> list[dict[str, str]]:
        """Return the relations of a part, or of the whole workbook; none if it has none."""
        folder, name = posixpath.split(part)
        relations = posixpath.join(folder, "_rels", f"{name}.rels")
        if canonical(relations) not in self.parts:
            return []
        return [each for _, each in self.elements(relations, {"Relationship"})]

    def refuse_declarations(self) -> None:
        """Refuse XML that declares a document type or entities; no workbook needs them.

        They could expand without limit ("billion laughs") or read other files.
        """
        for part in self._members:
            if not part.endswith((".xml", ".rels")):
                continue
            # without its NULs, UTF-16 can be searched as ASCII
            prolog = self.beginning(part).replace(b"\0", b"")
            root = _ROOT_ELEMENT.search(prolog)
            if _DECLARATION.search(prolog, 0, root.start() if root else len(prolog)):
                raise self.refused(f"{part} declares XML entities or a document type", SAVE_AS)
            if root is None and len(prolog) > PROLOG_BYTES // 2:
                raise self.refused(f"{part} begins with {PROLOG_BYTES:,} bytes of nothing")

    def damaged(self) -> InputError:
        """Return the error for an archive that can't be unpacked."""
        return InputError(
            f"{self.name} begins like a workbook but is damaged or cut off.",
            "Download or export it again.",
        )

    def refused(self, why: str, hint: str = RAISE_LIMIT_HINT) -> InputError:
        """Return the error for an archive that looks malicious."""
        return InputError(f"{self.name} was not opened: {why}.", hint)

    def _refuse_hostile(self, members: list[zipfile.ZipInfo], limits: LoadLimits) -> None:
        if len(members) > limits.parts:
            raise self.refused(f"it has {len(members):,} parts, more than {limits.parts:,}")
        if len(self._members) < len(members):
            raise self.refused("two of its parts have the same name", hint="")
        unpacked = sum(member.file_size for member in members)
        if unpacked > limits.unpacked_bytes:
            raise self.refused(
                f"unpacked it would be {unpacked / 1024**2:,.0f} MB,"
                f" more than {limits.unpacked_bytes / 1024**2:,.0f}"
            )
        for member in members:
            path = member.filename
            if path.startswith("/") or ":" in path or ".." in re.split(r"[/\\]", path):
                why = f"a part's name leads out of the archive ({path!r:.60})"
                raise self.refused(why, hint="")
            if member.flag_bits & 1:
                raise protected(self.name)
            if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise self.damaged()
            ratio = member.file_size / max(member.compress_size, 1)
            if ratio > limits.ratio and member.file_size > RATIO_MATTERS_FROM:
                raise self.refused(
                    f"{path} unpacks to {ratio:,.0f} times its size, as a ZIP bomb does"
                    f" (limit {limits.ratio})"
                )


def canonical(part: str) -> str:
    """Normalize a part's name: lowercase, because case does not matter (ECMA-376-2 6.2.2.3).

    Also replaces the backslashes that some programs write.
    """
    return part.replace("\\", "/").lower()


def part_name(folder: str, target: str) -> str:
    """Return the name of a part that a part in a folder refers to."""
    path = posixpath.join("/", folder, target.replace("\\", "/"))
    return canonical(posixpath.normpath(path).lstrip("/"))
