"""Validation of `batch_config`, before the SDK would fail at the first batch."""

from __future__ import annotations

import typing as t

from fsspec import get_filesystem_class
from fsspec.utils import get_protocol

from tap_focus.streams.sdk import BatchConfig


def validate_batch_config(value: dict[str, t.Any]) -> str | None:
    """Return what is wrong with a `batch_config`, or None."""
    try:
        batch = BatchConfig.from_dict(value)
        encoding, root = batch.encoding, batch.storage.root
        if not encoding.format or not isinstance(root, str):
            return "needs encoding.format and storage.root"
    except (TypeError, KeyError, AttributeError):
        return "needs encoding.format and storage.root"
    if type(batch.batch_size) is not int or batch.batch_size < 1:
        return "batch_size must be an integer of 1 or more"
    if encoding.format == "jsonl" and encoding.compression != "gzip":
        return "encoding.compression must be gzip, the only compression of jsonl"
    try:
        get_filesystem_class(get_protocol(root))
    except (ImportError, ValueError):
        return "storage.root needs a Python package that is not installed"
    return None
