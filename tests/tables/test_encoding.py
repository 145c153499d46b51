# ruff: noqa: RUF001
"""Lists in the encodings of the world: read right, and said to be a guess."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from batchrun.errors import InputError
from batchrun.tables.encoding import PIECE_BYTES, survey
from batchrun.tables.files import load
from tests.tables.files import OTHER_UUID, UUID, cells, load_bytes

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {
    "shift_jis": ["株式会社日立製作所", "東京都千代田区", "パナソニック ホールディングス"],
    "euc_jp": ["株式会社日立製作所", "東京都千代田区", "パナソニック ホールディングス"],
    "iso2022_jp": ["株式会社日立製作所", "東京都千代田区"],
    "gbk": ["华为技术有限公司", "深圳市龙岗区", "王小明"],
    "gb18030": ["中国移动通信集团有限公司", "北京市西城区"],
    "big5": ["台灣積體電路製造股份有限公司", "新竹市", "陳大文"],
    "euc_kr": ["삼성전자 주식회사", "경기도 수원시", "김민수"],
    "cp1251": ["ООО Рога и копыта", "Москва", "Иванов Иван"],
    "koi8_r": ["ООО Рога и копыта", "Санкт-Петербург", "Иванов Иван Иванович"],
    "iso8859_5": ["ОАО Газпром", "Новосибирск", "Сбербанк России"],
    "cp866": ["ОАО Газпром", "Новосибирск", "Сбербанк России"],
    "cp1250": ["Grzegorz Brzęczyszczykiewicz", "Łódź", "Towarzystwo Ubezpieczeń", "Gdańsk"],
    "iso8859_2": ["Škoda Auto", "Jiří Dvořák", "Žďárské strojírny", "Ústí nad Labem", "Plzeň"],
    "cp1253": ["Ελληνικά Πετρέλαια", "Αθήνα", "Θεσσαλονίκη"],
    "cp1254": ["Türkiye İş Bankası", "Şişecam Holding", "Çağrı Gündoğdu", "İzmir"],
    "cp1255": ["בנק הפועלים", "תל אביב", "ירושלים"],
    "cp1256": ["شركة أرامكو السعودية", "الظهران", "القاهرة"],
    "tis_620": ["บริษัท ปตท. จำกัด", "กรุงเทพ"],
    "cp1252": ["Müller & Söhne", "François Lefèvre", "Señor Núñez", "20 €"],
    "mac_roman": ["Müller & Söhne", "München", "Köln"],
}


AT_THE_END = PIECE_BYTES - len("Firma,ü".encode()) - 1
"""How many letters make the next one the last byte of a piece."""


def list_of(names: list[str]) -> str:
    rows = "".join(f"{UUID},{name}\n" for name in names)
    return f"Company ID,Name\n{rows}{OTHER_UUID},Acme\n"


@pytest.mark.parametrize("encoding", NAMES)
def test_a_list_is_read_in_its_encoding_and_said_to_be_a_guess(
    tmp_path: Path, encoding: str
) -> None:
    names = NAMES[encoding]
    table = load_bytes(tmp_path, list_of(names).encode(encoding))
    assert [row[1] for row in cells(table)] == [*names, "Acme"]
    (notice,) = table.source.notices
    assert "a guess" in notice
    assert f'"{names[0][:40]}" in line 2' in notice
    assert "--encoding" in notice


@pytest.mark.parametrize(
    ("before", "mark", "utf_8"),
    [
        (0, "\x1b[2J", True),
        (0, "\x1b$B", False),
        (0, "~{", False),
        (AT_THE_END, "\x1b$B", False),
        (AT_THE_END, "~{", False),
    ],
)
def test_only_the_marks_of_an_encoding_of_7_bits_make_a_list_doubtful(
    before: int, mark: str, utf_8: bool
) -> None:
    text = "Firma,ü" + "x" * before + mark + "\n" + "y" * PIECE_BYTES
    assert survey(BytesIO(text.encode()))[0] is utf_8


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("Müller", "cp1252"), ("Anna’s “Best” – 20 €", "cp1252"), ("Señor Núñez", "cp1252"),
     ("Łódź", "cp1250"), ("Москва", "cp1251"), ("東京都", "shift_jis"), ("北京市", "gbk")],
)  # fmt: skip
def test_one_short_text_is_enough(tmp_path: Path, text: str, encoding: str) -> None:
    table = load_bytes(tmp_path, list_of([text]).encode(encoding))
    assert cells(table)[0][1] == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("name", ["Müller", "Москва", "東京都"])
def test_wide_encodings_are_told_by_their_zeros(
    tmp_path: Path, encoding: str, mark: str, name: str
) -> None:
    table = load_bytes(tmp_path, (mark + list_of([name])).encode(encoding))
    assert cells(table)[0] == [UUID, name]
    assert "a guess" not in " ".join(table.source.notices)


def test_the_user_may_name_the_encoding(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(list_of(["Dvořák"]).encode("cp1250"))
    table = load(file, encoding="Windows-1250")
    assert cells(table)[0] == [UUID, "Dvořák"]
    assert table.source.notices == ()


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("utf-8", "line 2"), ("nonsense", "not a known"), ("cp125O", "Did you mean cp125"),
     ("base64", "not a known"), ("", "not a known"), ("rot13", "not a known"),
     ("punycode", "not a known"), ("undefined", "not a known"),
     ("idna", "not a known"), ("unicode_escape", "not a known")],
)  # fmt: skip
def test_an_encoding_that_can_not_be_is_refused(tmp_path: Path, encoding: str, said: str) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(list_of(["Dvořák"]).encode("cp1250"))
    with pytest.raises(InputError, match=said):
        load(file, encoding=encoding)


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ([*["Zoë".encode()] * 5, "Zoë".encode("cp1252")], 7),
        ([*["Zoë".encode("cp1252")] * 5, "Zoë".encode()], 7),
        (["東京都".encode(), "東京都".encode(), "東京都".encode("shift_jis")], 4),
    ],
)
def test_a_file_in_two_encodings_is_refused_with_the_odd_line(
    tmp_path: Path, lines: list[bytes], line: int
) -> None:
    content = b"Company ID,Name\n" + b"".join(f"{UUID},".encode() + each + b"\n" for each in lines)
    with pytest.raises(InputError, match=f"line {line}"):
        load_bytes(tmp_path, content)


def test_marks_of_careless_programs_are_left_out(tmp_path: Path) -> None:
    once = f"\ufeffCompany ID,Name\r\n{UUID},Acme\r\n"
    twice = f"{once}\ufeff{OTHER_UUID},Bay\r\n\x1a"
    table = load_bytes(tmp_path, twice)
    assert cells(table) == [[UUID, "Acme"], [OTHER_UUID, "Bay"]]
    assert "byte order mark inside the file left out (first: line 3)" in table.source.notices[0]


@pytest.mark.parametrize(
    "names",
    [
        ["Größe"],
        ["café François"],
        ["Nicolò", "perché"],
        ["niño Óscar"],
        ["Malmö"],
        ["5 €", "Weiß"],
    ],
)
def test_a_few_accents_in_latin_words_are_western(tmp_path: Path, names: list[str]) -> None:
    table = load_bytes(tmp_path, list_of(names).encode("cp1252"))
    assert [row[1] for row in cells(table)] == [*names, "Acme"]
