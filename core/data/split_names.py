"""The words by which columns name the splits."""

from __future__ import annotations

from core.data.draft import Split

_SPELLINGS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "trn": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "devel": "validation",
    "development": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
    "tst": "test",
    "holdout": "test",
    "held-out": "test",
    "heldout": "test",
    "训练": "train",
    "训练集": "train",
    "验证": "validation",
    "验证集": "validation",
    "测试": "test",
    "测试集": "test",
}


def parse_split(text: str | None) -> Split | None:
    """The split that a cell of a split column means; None when it means none.

    >>> parse_split(" Dev "), parse_split("fold 3")
    ('validation', None)
    """
    return _SPELLINGS.get((text or "").strip().lower().replace("_", "-"))
