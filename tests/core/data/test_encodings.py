"""Encodings: found, told, and followed where the user knows better."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from core.data.encoding import EncodingDetector
from core.data.reading import check_file, head_encoding
from core.data.sources import File, peek
from core.errors import DataError
from core.paths import Home
from tests.build_sources import CHINESE, CSV, CZECH, GERMAN, cells, example, load, put


@pytest.mark.parametrize(
    ("text", "encoding", "note"),
    [
        (GERMAN, "utf-8-sig", ""),
        (GERMAN, "utf-16", "UTF-16"),
        (GERMAN, "utf-16-le", "UTF-16"),
        (GERMAN, "cp1252", "windows-1252"),
        ("q,a\nMénière?,é\n", "cp1252", "windows-1252"),
        ("pytanie,odpowiedź\nCo to jest zapalenie płuc?,Zakażenie płuc\n", "cp1250", "windows-1250"),
        ("問題,答案\n什麼是肺炎？,肺部的感染，建議胸部檢查\n", "big5", "Big5"),
        ("вопрос,ответ\nЧто такое пневмония?,Воспаление лёгких\n", "cp1251", "windows-1251"),
        (CHINESE, "gbk", "GBK"),
        (CHINESE, "utf-8", ""),
    ],
)
def test_encodings_are_found_and_told(text: str, encoding: str, note: str, home: Home, tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", text.encode(encoding))
    table, found = load(home, path), peek(File(path=str(path)))
    heading, row = (tuple(line.split(",")) for line in text.splitlines())
    assert table.about().columns == found.columns == heading
    assert cells(table) == [tuple(found.rows[0].values())] == [row]
    assert note in " ".join(table.about().notes) and bool(note) == bool(table.about().notes)
    assert found.notes == table.about().notes


def test_an_encoding_that_shows_only_far_down_is_found_by_the_import(home: Home, tmp_path: Path) -> None:
    content = "question,answer\n" + "Why?,Because.\n" * 200_000 + "Was hilft bei Ménière?,Geräte für die Ohren.\n"
    table = load(home, put(tmp_path, "a.csv", content.encode("cp1252")))
    assert table.page(200_000, 1)[0]["answer"] == "Geräte für die Ohren."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ('frage,antwort\nWas hilft bei Ménière’s – 39 °C?,"5 µg, mm³"\n', "cp1252"),
        (CZECH, "cp1250"),
        ("question,answer\nWhy?,café", "cp1252"),
        ("pytanie,odpowiedź\nJak leczyć kaszel?,Odpoczynek i sen", "cp1250"),
        ("question,answer\nKiedy iść do szpitala?,Gdy boli serce", "cp1250"),
        ("question,answer\nProč mě bolí hlava?,Málo vody", "cp1250"),
        ("question,answer\nKolik dní mám brát lék?,Pět", "cp1250"),
        ("question,answer\nAko liečiť kašeľ?,Pokoj a čaj", "cp1250"),
        ("question,answer\nHogyan gyógyítható a köhögés?,Idővel", "cp1250"),
        ("question,answer\nZakaj me boli želodec?,Preveč kave", "cp1250"),
        ("question,answer\nCe ajută la tuse?,Ceai şi odihnă", "cp1250"),
        ("question,answer\nQue faire en cas de fièvre élevée?,Être prêt à boire", "cp1252"),
        ("question,answer\n¿Cuántos días?,Mañana mejor", "cp1252"),
        ("question,answer\nPressão alta é grave?,Às vezes são", "cp1252"),
        ("question,answer\nPerché la febbre è alta?,Così è l'infezione", "cp1252"),
        ("question,answer\nRødme og kløe på ben?,Creme i små mængder", "cp1252"),
        ("question,answer\nMikä auttaa yskään?,Tee ja lepo", "cp1252"),
        ("question,answer\nMénière and Sjögren?,Behçet and Muñoz", "cp1252"),
        ("question,answer\nHow much?,5 µg or 3 mm³ at 39 °C", "cp1252"),
    ],
)
def test_european_text_is_told_apart(text: str, encoding: str, tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", text.encode(encoding))
    assert head_encoding(path).name == check_file(path, lambda done, total: None).encoding.name == encoding


@pytest.mark.parametrize(
    ("pieces", "name"),
    [
        ([b"Why?,caf\xe9", b"\nHow?,So\n"], "cp1252"),
        ([b"Why?,caf\xc3", b"\xa9\n"], "utf-8"),
        ([b"Why?,caf\xe9"], "cp1252"),
    ],
)
def test_a_character_is_followed_over_the_end_of_a_piece(pieces: list[bytes], name: str) -> None:
    detector = EncodingDetector()
    for piece in pieces:
        detector.feed(piece)
    assert detector.result().name == name


def test_a_character_cut_by_the_end_of_the_head_is_no_fault(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", ("x" * (2**20 - 1) + "é").encode())
    assert head_encoding(path).name == "utf-8"


def test_json_arrays_may_be_utf_16(home: Home, tmp_path: Path) -> None:
    assert cells(load(home, put(tmp_path, "a.json", '[{"Frage": "Übel?"}]'.encode("utf-16")))) == [("Übel?",)]


def test_the_user_may_name_the_encoding(home: Home, tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", "question,answer\nЧто?,Да\n".encode("koi8-r"))
    assert cells(load(home, path, encoding="koi8-r")) == [("Что?", "Да")]


@pytest.mark.parametrize("name", ["klingon", "undefined", "idna", "rot13", "a\0b"])
def test_an_encoding_that_cannot_read_text_is_refused(name: str, home: Home, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no text encoding"):
        load(home, put(tmp_path, "a.csv", CSV), encoding=name)


@pytest.mark.parametrize("name", ["utf-8", "UTF8", "cp65001", "utf-8-sig"])
@pytest.mark.parametrize("file", ["a.csv", "a.jsonl", "a.json"])
def test_utf_8_that_the_user_names_may_begin_with_a_mark(name: str, file: str, home: Home, tmp_path: Path) -> None:
    path = example(tmp_path, file)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert load(home, path, encoding=name).about().columns == ("question", "answer")


def test_damaged_characters_are_named_with_line_and_column(home: Home, tmp_path: Path) -> None:
    content = "question,answer\nÜbel?,Öl\n".encode() + b"Why?,a\xffb\nHow?,So\n"
    path = put(tmp_path, "a.csv", content)
    with pytest.raises(DataError, match="Line 3: character 2 of the cell 'answer' is damaged"):
        load(home, path)
    assert cells(load(home, path, skip_bad=True)) == [("Übel?", "Öl"), ("How?", "So")]
