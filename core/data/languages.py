"""Which language a text is in, told offline by py3langid's character statistics."""

from __future__ import annotations

from functools import cache
from typing import Any

from core.data.duplicates import normalise

_READ = 100
"""Characters that are read of a text; more make it no surer."""
_LEAST = 40
"""A text with fewer bytes of words says too little: drug names alone look like many languages."""
_CONFIDENCE = 0.6

_NAMES = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "la": "Latin",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sr": "Serbian",
    "sv": "Swedish",
    "ta": "Tamil",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


def language(text: str) -> str | None:
    """The ISO 639 code of the language `text` is in; None when it is too short or too mixed to tell.

    >>> language("The patient should take the tablets twice a day after food.")
    'en'
    >>> language("5 mg") is None
    True
    """
    words = normalise(text[:_READ])
    if len(words.encode()) < _LEAST:
        return None
    code, confidence = _identifier().classify(text[:_READ])
    return code if confidence >= _CONFIDENCE else None


def language_name(code: str) -> str:
    """The English name of a language; its code when that is all there is.

    >>> language_name("de"), language_name("xx")
    ('German', 'xx')
    """
    return _NAMES.get(code, code)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 loads a model of some megabytes

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
