from __future__ import annotations

import pytest

from tap_focus.archive.stores.factory import open_store
from tap_focus.archive.stores.interface import check_media_path
from tap_focus.errors import StorageError


@pytest.mark.parametrize(
    "url", ["audio", "./a:b", "/data/audio", "~/audio", "file:///data", "local:///data", "s3://b/x"]
)
def test_supported_urls_are_accepted(url: str) -> None:
    check_media_path(url)


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("memory://audio", "memory://"),
        ("nope://x", "protocol is"),
        ("http://example.com/x", "http://"),
        ("sftp://host/x", "sftp://"),
        ("adl://x", "adl://"),
        ("S3://bucket/x", "S3://"),
        ("s3:/bucket/x", "s3:"),  # fsspec would store it in a local folder named "s3:"
        (" s3://bucket/x", "protocol is"),
        ("'s3://bucket/x'", "protocol is"),
        ("file://s3://bucket/x", "protocol is"),
        ("data:x", "data:"),
        ("simplecache::s3://bucket/x", "::"),
        ("s3://bucket/x::memory://", "::"),
        ("/data::audio", "::"),  # fsspec would store it in /data
    ],
)
def test_other_protocols_are_rejected_by_name_if_it_is_known(url: str, protocol: str) -> None:
    with pytest.raises(StorageError) as caught:
        open_store(url)

    assert str(caught.value).startswith("Cannot open media_path: ")
    assert protocol in str(caught.value)
    assert "not supported" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["s3://bucket//x", "s3://bucket/x//y", "s3://bucket/x//", "s3:///x", "s3a://b//", "s3://"],
)
def test_urls_of_buckets_with_an_empty_part_are_rejected(url: str) -> None:
    with pytest.raises(StorageError, match=r"^Cannot open media_path: s3a?:// URLs with an empty"):
        open_store(url)


@pytest.mark.parametrize("url", ["/data//audio", "file:////data", "s3://bucket/x/", "s3://bucket"])
def test_other_slashes_are_accepted(url: str) -> None:
    check_media_path(url)


@pytest.mark.parametrize("url", ["gs://b/x", "gcs://b/x", "az://b/x", "abfs://b/x", "abfss://b/x"])
def test_a_missing_package_is_named_by_its_extra(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(protocol: str) -> None:
        raise ImportError(protocol)

    monkeypatch.setattr("tap_focus.archive.stores.interface.get_filesystem_class", not_installed)

    with pytest.raises(StorageError, match=r"not installed \(extra: (gcs|azure)\)$"):
        check_media_path(url)
