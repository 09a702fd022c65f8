"""Choose the kind of store for a `media_path`."""

from __future__ import annotations

import typing as t

from typing_extensions import assert_never

from tap_focus.archive.stores.interface import OPEN, check_media_path, package_extra, supports_locks
from tap_focus.archive.stores.local import LocalStore
from tap_focus.errors import StorageError

if t.TYPE_CHECKING:
    from tap_focus.archive.stores.interface import AudioStore


def open_store(url: str, lock_mode: str | None = None) -> AudioStore:
    """Return the store for a local folder or a URL such as `s3://bucket/folder`.

    Args:
        url: the setting `media_path`.
        lock_mode: `governance` or `compliance`, to lock new files; see `supports_locks`.

    Raises:
        StorageError: the protocol is not supported, its Python package is not installed, or the
            store cannot lock files.
    """
    check_media_path(url)
    extra = package_extra(url)
    if lock_mode and not supports_locks(url):
        raise StorageError(OPEN, "media_lock needs a bucket in S3, such as s3://bucket/folder")
    # Imported when needed: each needs a package that may not be installed, and memory.
    match extra:
        case None:
            return LocalStore(url)
        case "s3":
            from tap_focus.archive.stores.s3 import S3Store  # noqa: PLC0415

            return S3Store(url, lock_mode)
        case "gcs" | "azure":
            from tap_focus.archive.stores.object_storage import ObjectStore  # noqa: PLC0415

            return ObjectStore(url)
        case _:
            assert_never(extra)  # mypy reports an extra without a store
