"""Finds out in which encoding a text file is written."""

from __future__ import annotations

import codecs
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass

from charset_normalizer import from_bytes

from core.errors import DataError

_CANDIDATES = ["cp1252", "gb18030", "big5", "cp932", "cp949", "cp1251", "cp1250"]
"""What Windows programs write in Europe and East Asia; among all encodings short samples are taken for anything."""
LABELS: Mapping[str, str] = {
    "cp1252": "windows-1252 (Western European)",
    "cp1250": "windows-1250 (Central European)",
    "cp1251": "windows-1251 (Cyrillic)",
    "gb18030": "GBK (simplified Chinese)",
    "big5": "Big5 (traditional Chinese)",
    "cp932": "Shift-JIS (Japanese)",
    "cp949": "EUC-KR (Korean)",
    "utf-16": "UTF-16",
    "utf-32": "UTF-32",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BEYOND = re.compile(rb"[\x80-\xff]+")
_BESIDE_LETTERS = re.compile(rb"(?<=[A-Za-z])[\x80-\xff]{2}(?![\x80-\xff])|(?<![\x80-\xff])[\x80-\xff]{2}(?=[A-Za-z])")
_WESTERN = (
    "àâçéèêëîïôùûü",  # French
    "äöüßéà",  # German
    "áéíñóúü",  # Spanish
    "áâãàçéêíóôõúü",  # Portuguese
    "àèéìíîòóùú",  # Italian
    "æøåéèóòôü",  # Danish and Norwegian
    "åäöéàüšž",  # Swedish and Finnish
    "áéíóúýþæöð",  # Icelandic
    "éèëêïöü",  # Dutch, and names in English
)
"""The letters beyond ASCII in each language that windows-1252 was made for."""
_CENTRAL = (
    "ąćęłńóśźż",  # Polish
    "áčďéěíňóřšťúůýž",  # Czech
    "áäčďéíĺľňóôŕšťúýž",  # Slovak
    "áéíóöőúüű",  # Hungarian
    "čćđšž",  # Slovenian, Croatian and Bosnian
    "ăâîşţ",  # Romanian
)
"""The same for windows-1250."""
_SIGN_IN_WORD = re.compile(r"(?<![\w¿])[ª²³¹º](?=[^\W\d_])|(?<=[^\W\d_])[¡¢£¤¥¦©ª«¬®¯°±²³´¶¹º»¼½¾¿](?=[^\W\d_])")
_ESCAPED = re.compile("[\udc80-\udcff]")
_SAMPLE_BYTES = 64_000
_FEW = 20
"""Letters beyond ASCII; fewer say too little about how often each occurs."""
_UNDECODED = "\ufffd"
"""What Python puts for bytes that mean nothing in an encoding."""


@dataclass(frozen=True)
class Encoding:
    """An encoding under Python's name, and what to tell the user about it; None when it is UTF-8."""

    name: str
    note: str | None = None

    @property
    def guessed(self) -> bool:
        """Whether the letters themselves had to tell; UTF-8 and UTF-16 show what they are."""
        return self.note is not None and not self.name.startswith("utf")


class EncodingDetector:
    """Is fed a file, or its beginning, piece by piece; remembers only a sample of the lines beyond ASCII."""

    def __init__(self) -> None:
        self._head = b""
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._is_utf8 = True
        self._before = bytearray()
        self._after = bytearray()

    def feed(self, piece: bytes) -> None:
        """Look at the next piece of the file."""
        if len(self._head) < 1_024:
            self._head += piece[:1_024]
        if self._is_utf8 and (self._is_unfinished() or not piece.isascii()):
            try:
                self._utf8.decode(piece)
            except UnicodeDecodeError:
                self._is_utf8 = False
        sample = self._before if self._is_utf8 else self._after
        if len(sample) < _SAMPLE_BYTES and not piece.isascii():
            lines = (line for line in piece.split(b"\n") if not line.isascii())
            sample += b"\n".join(lines)[:_SAMPLE_BYTES] + b"\n"

    def result(self, ended: bool = True) -> Encoding:
        """What the file is written in. UTF-8 with a few damaged characters is still UTF-8.

        Args:
            ended: whether the whole file was fed; if not, its last character may be cut.
        """
        for mark, name in _MARKS:
            if self._head.startswith(mark):
                return Encoding(name, _note(name))
        wide = _unmarked_utf16(self._head)
        if wide:
            return Encoding(wide, _note(wide))
        is_utf8 = self._is_utf8 and not (ended and self._is_unfinished())
        if is_utf8 or self._is_damaged_utf8():
            return Encoding("utf-8")
        guess = _guess(bytes(self._after or self._before))
        return Encoding(guess, _note(guess))

    def _is_unfinished(self) -> bool:
        """Whether the last piece ended inside what may be a character."""
        return bool(self._utf8.getstate()[0])

    def _is_damaged_utf8(self) -> bool:
        text = bytes(self._before + self._after).decode("utf-8", "surrogateescape")
        damaged = len(_ESCAPED.findall(text))
        whole = sum(not character.isascii() for character in text) - damaged
        return whole >= damaged


def chosen_encoding(name: str) -> Encoding:
    """The encoding that the user named; UTF-8 may begin with a mark.

    Raises:
        DataError: Python knows no text encoding of this name, or none that can read a file.
    """
    try:
        "a".encode(name).decode(name, "surrogateescape")  # as `Lines` reads
    except (LookupError, ValueError) as error:
        raise DataError(f"There is no text encoding {name!r}. Use a name such as utf-8, cp1252 or gbk.") from error
    return Encoding("utf-8-sig" if codecs.lookup(name).name == "utf-8" else name)


def _unmarked_utf16(head: bytes) -> str | None:
    """UTF-16 of mostly Latin letters shows as a NUL in every other byte."""
    half = len(head) // 2
    if half and head[1::2].count(0) > 0.9 * half and head[::2].count(0) == 0:
        return "utf-16-le"
    if half and head[::2].count(0) > 0.9 * half and head[1::2].count(0) == 0:
        return "utf-16-be"
    return None


def _guess(sample: bytes) -> str:
    if _is_alphabetic(sample):
        return _guess_european(sample)
    matches = from_bytes(sample, cp_isolation=_CANDIDATES)
    best = matches.best()
    if best is None or "cp1252" in best.could_be_from_charset:
        return "cp1252"
    if best.encoding in ("big5", "cp932", "cp949") and any(match.encoding == "gb18030" for match in matches):
        return "gb18030"  # a few characters can be any of these; this is the most common by far
    return best.encoding


def _is_alphabetic(sample: bytes) -> bool:
    """Whether most bytes beyond ASCII are single letters, or two inside a word; other scripts have whole words."""
    runs = _BEYOND.findall(sample)
    return sum(len(run) == 1 for run in runs) + len(_BESIDE_LETTERS.findall(sample)) > len(runs) / 2


def _guess_european(sample: bytes) -> str:
    """windows-1250 when windows-1252 would put signs such as a superscript inside words, or letters of no one language.

    When both or neither make sense, few letters are taken for windows-1252, which is far more common, and many are
    told apart by how often each letter occurs.
    """
    if _SIGN_IN_WORD.search(sample.decode("cp1252", "replace")):
        return "cp1250"
    western, central = _fits(sample, "cp1252", _WESTERN), _fits(sample, "cp1250", _CENTRAL)
    if western != central:
        return "cp1252" if western else "cp1250"
    if sum(map(len, _BEYOND.findall(sample))) <= _FEW:
        return "cp1252"
    best = from_bytes(sample, cp_isolation=["cp1252", "cp1250"]).best()
    return "cp1252" if best is None or "cp1252" in best.could_be_from_charset else best.encoding


def _fits(sample: bytes, encoding: str, alphabets: tuple[str, ...]) -> bool:
    """Whether all letters beyond ASCII, read in `encoding`, belong to one of the alphabets."""
    text = sample.decode(encoding, "replace").lower()
    letters = {letter for letter in text if letter.isalpha() or letter == _UNDECODED}
    return any(letters <= {*string.ascii_lowercase, *"ªºµ", *alphabet} for alphabet in alphabets)


def _note(name: str) -> str | None:
    if name not in LABELS:
        return None
    return f"Read as {LABELS[name]}. If letters look wrong, choose another encoding or save the file as UTF-8."
