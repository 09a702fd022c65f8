"""The store in Amazon S3, with checksums that S3 verifies, and Object Lock.

A new file is one PutObject request. S3 rejects it if the object exists, or if the content does not
have the announced SHA-256. A stored file is found by a listing of its folder and a HEAD request.
"""

from __future__ import annotations

import base64
import hashlib
import time
import typing as t
from datetime import datetime, timedelta, timezone

import msgspec
from typing_extensions import override

from tap_focus.archive.naming import content_type_of
from tap_focus.archive.stores.interface import OPEN, WRITE, StoredFile, error_code, storage_errors
from tap_focus.archive.stores.marker import MARKER_NAME, Marker, decode_marker, encode_marker
from tap_focus.archive.stores.object_storage import ObjectStore, details_of, metadata_of, sha256_of
from tap_focus.errors import FileUnreadableError, LockError, StorageError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_focus.archive.stores.interface import Retention
    from tap_focus.archive.stores.object_storage import NewObject

MAX_PUT_BYTES = 5 * 1024**3
"""Largest object of one PutObject request."""

MAX_CONNECTIONS = 64
"""Connections to S3. With botocore's default of 10, more threads than that wait for each other."""

PART_BYTES = 16 * 1024 * 1024
"""Bytes of a part of a larger object. A part is in memory during its upload."""

MAX_PARTS = 10_000
MAX_CONFLICTS = 5
CONFLICT_WAIT = 0.2
"""Attempts, and seconds between them, if another run uploads the same object at the same time."""

_EXISTS = ("PreconditionFailed", "412")
_CONFLICT = ("ConditionalRequestConflict", "409")
_NO_OBJECT_LOCK = ("ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration")

Arguments = dict[str, t.Any]


class S3Store(ObjectStore):
    """Complete objects in a bucket of Amazon S3.

    Options of uploads, such as encryption with KMS, are taken from the variable `FSSPEC_S3`, which
    fsspec documents.
    """

    def __init__(self, url: str, lock_mode: str | None = None) -> None:
        super().__init__(url)
        self._bucket, self._prefix, _ = self.fs.split_path(self.root)
        self._lock_mode = lock_mode.upper() if lock_mode else None
        self.fs.config_kwargs.setdefault("max_pool_connections", MAX_CONNECTIONS)
        # botocore repeats requests with the content from its start, s3fs with the rest of it.
        self.fs.retries = 1

    @override
    def open(self, account: str, *, has_bookmark: bool) -> None:
        if self._lock_mode:
            self.requires_retention_date = not self._has_default_retention()
        super().open(account, has_bookmark=has_bookmark)

    @override
    def recorded_checksum(self, path: str) -> str | None:
        """Return the SHA-256 that S3 has verified; None for an object uploaded in parts."""
        with storage_errors(f"examine {path} in media_path", FileUnreadableError):
            return _full_sha256(self._head(path) or {})

    @override
    def update_lock(self, file: StoredFile, retention: Retention) -> StoredFile:
        if not self._lock_mode:
            return file
        action = f"lock {file.path} in media_path"
        if retention.legal_hold and not file.has_legal_hold:
            self._lock_request(
                action, "put_object_legal_hold", file.path, LegalHold={"Status": "ON"}
            )
            file = msgspec.structs.replace(file, has_legal_hold=True)
        until, current = _whole_seconds(retention.until), file.locked_until
        if not until or until == current:
            return file
        if current and until < current:
            raise LockError(action, f"it is locked until {current:%Y-%m-%dT%H:%M:%SZ} already")
        if _is_past_or_imminent(until):
            raise LockError(action, "retainUntil is in the past, or less than a minute ahead")
        retention_of_s3 = {"Mode": self._lock_mode, "RetainUntilDate": until}
        self._lock_request(action, "put_object_retention", file.path, Retention=retention_of_s3)
        return msgspec.structs.replace(file, locked_until=until)

    def _lock_request(self, action: str, method: str, path: str, **arguments: t.Any) -> None:
        try:
            with storage_errors(action):
                self._call(method, Key=self._key(path), **arguments)
        except StorageError as error:
            raise LockError(action, error.reason) from error

    def _has_default_retention(self) -> bool:
        """Return whether new objects are locked without a date, and check that they can be."""
        with storage_errors(OPEN):
            try:
                answer = self._call("get_object_lock_configuration")
            except Exception as error:
                if error_code(error) not in _NO_OBJECT_LOCK:
                    raise
                answer = {}
        configuration = answer.get("ObjectLockConfiguration", {})
        if configuration.get("ObjectLockEnabled") != "Enabled":
            raise StorageError(OPEN, "media_lock is set, but the bucket has no Object Lock")
        return bool(configuration.get("Rule", {}).get("DefaultRetention"))

    @override
    def _upload(
        self, file: StoredFile, content: NewObject, retention: Retention | None
    ) -> tuple[StoredFile, bool]:
        condition: Arguments = {"IfNoneMatch": "*"}
        lock = self._lock_arguments(retention)
        for _ in range(MAX_CONFLICTS):
            refusal = self._put_object(file, content, {**lock, **condition})
            if not refusal:
                if self._lock_mode and "ObjectLockMode" not in lock:
                    return self._examine(file.path) or file, True  # the bucket's default applies
                until = lock.get("ObjectLockRetainUntilDate")
                on_hold = "ObjectLockLegalHoldStatus" in lock
                changes = {"locked_until": until, "has_legal_hold": on_hold}
                return msgspec.structs.replace(file, **changes), True
            if refusal in _EXISTS:
                if existing := self._examine(file.path):
                    return existing, False
                # An empty object counts as missing. Replace it and no other one.
                head = self._head(file.path)
                condition = {"IfMatch": head["ETag"]} if head else {"IfNoneMatch": "*"}
            else:
                time.sleep(CONFLICT_WAIT)
        raise StorageError(WRITE, "another run changes the same file again and again")

    def _put_object(self, file: StoredFile, content: NewObject, arguments: Arguments) -> str | None:
        """Upload an object. Return the code of the error if the condition is not met."""
        arguments = {
            "Key": self._key(file.path),
            "ContentType": file.content_type,
            "Metadata": metadata_of(file),
            "ChecksumAlgorithm": "SHA256",
            **arguments,
        }
        body = content.rewind()
        try:
            if file.size <= MAX_PUT_BYTES:
                checksum = base64.b64encode(bytes.fromhex(file.sha256)).decode()
                self._call("put_object", Body=body, ChecksumSHA256=checksum, **arguments)
            else:
                self._put_parts(file, body, arguments)
        except Exception as error:
            if (code := error_code(error)) in (*_EXISTS, *_CONFLICT):
                return code
            raise
        return None

    def _put_parts(self, file: StoredFile, content: t.BinaryIO, arguments: Arguments) -> None:
        """Upload an object in parts. S3 verifies each part, but keeps no SHA-256 of the whole."""
        condition = {n: arguments.pop(n) for n in ("IfNoneMatch", "IfMatch") if n in arguments}
        upload = self._call("create_multipart_upload", **arguments)
        common = {"Key": arguments["Key"], "UploadId": upload["UploadId"]}
        size = max(PART_BYTES, -(-file.size // MAX_PARTS))
        parts: list[Arguments] = []
        try:
            while body := content.read(size):
                digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
                part = {"PartNumber": len(parts) + 1, "ChecksumSHA256": digest}
                answer = self._call("upload_part", Body=body, **common, **part)
                parts.append({**part, "ETag": answer["ETag"]})
            self._call(
                "complete_multipart_upload",
                MultipartUpload={"Parts": parts},
                **common,
                **condition,
            )
        except BaseException:
            self._call("abort_multipart_upload", **common)
            raise

    def _lock_arguments(self, retention: Retention | None) -> Arguments:
        arguments: Arguments = {}
        if self._lock_mode and retention:
            until = _whole_seconds(retention.until)
            # In any other case S3 applies the default retention of the bucket, if there is one.
            if until and not _is_past_or_imminent(until):
                arguments["ObjectLockMode"] = self._lock_mode
                arguments["ObjectLockRetainUntilDate"] = until
            if retention.legal_hold:
                arguments["ObjectLockLegalHoldStatus"] = "ON"
        return arguments

    @override
    def _list(self, folder: str) -> Iterator[tuple[str, int]]:
        prefix = f"{self._key(folder)}/".lstrip("/")
        arguments: Arguments = {"Prefix": prefix, "Delimiter": "/"}
        while True:
            with storage_errors(f"list {folder or 'the folders'} in media_path"):
                answer = self._call("list_objects_v2", **arguments)
            for entry in answer.get("CommonPrefixes", ()):
                yield entry["Prefix"][len(prefix) :], 0
            for entry in answer.get("Contents", ()):
                if not entry["Key"].endswith("/"):  # a folder marker
                    yield entry["Key"][len(prefix) :], entry["Size"]
            if not answer.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = answer["NextContinuationToken"]

    @override
    def _examine(self, path: str) -> StoredFile | None:
        with storage_errors(f"examine {path} in media_path", FileUnreadableError):
            head = self._head(path)
        if not head or not head["ContentLength"]:
            return None
        metadata, until = head.get("Metadata", {}), head.get("ObjectLockRetainUntilDate")
        size, sha256 = head["ContentLength"], _full_sha256(head) or sha256_of(metadata)
        if not sha256:
            size, sha256 = self.checksum(path)
        return StoredFile(
            path=path,
            size=size,
            sha256=sha256,
            content_type=head.get("ContentType") or content_type_of(path),
            locked_until=until.astimezone(timezone.utc) if until else None,
            has_legal_hold=head.get("ObjectLockLegalHoldStatus") == "ON",
            **details_of(metadata),
        )

    def _head(self, path: str) -> Arguments | None:
        try:
            return self._call("head_object", Key=self._key(path), ChecksumMode="ENABLED")
        except FileNotFoundError:
            return None

    @override
    def _read_marker(self) -> Marker | None:
        """Return the marker from the object's metadata, which takes no permission to read it."""
        with storage_errors(OPEN):
            head = self._head(MARKER_NAME)
            if not head:
                return None
            text = head.get("Metadata", {}).get("marker")
            return decode_marker(text) if text else super()._read_marker()

    @override
    def _create_marker(self, marker: Marker) -> None:
        content = encode_marker(marker)
        try:
            with storage_errors(WRITE):
                self._call(
                    "put_object",
                    Key=self._key(MARKER_NAME),
                    Body=content,
                    ContentType="application/json",
                    Metadata={"marker": content.decode().strip()},
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=base64.b64encode(hashlib.sha256(content).digest()).decode(),
                    IfNoneMatch="*",
                )
        except StorageError as error:
            if error_code(error.__cause__ or error) not in (*_EXISTS, *_CONFLICT):
                raise

    def _key(self, path: str) -> str:
        return f"{self._prefix}/{path}".strip("/")

    def _call(self, method: str, **arguments: t.Any) -> Arguments:
        answer: Arguments = self.fs.call_s3(method, Bucket=self._bucket, **arguments)
        return answer


def _full_sha256(head: Arguments) -> str | None:
    """Return the SHA-256 of an object in hex, unless it is the checksum of the parts' checksums."""
    if "-" in head.get("ETag", "") or head.get("ChecksumType") == "COMPOSITE":
        return None
    return base64.b64decode(head.get("ChecksumSHA256", "")).hex() or None


def _is_past_or_imminent(moment: datetime) -> bool:
    """Return whether a moment is in the past or less than a minute ahead.

    S3 refuses a lock until a moment that is in the past when S3 receives the request.
    """
    return moment < datetime.now(timezone.utc) + timedelta(minutes=1)


def _whole_seconds(moment: datetime | None) -> datetime | None:
    """Round up: S3 may drop fractions of a second."""
    if not moment:
        return None
    return moment.replace(microsecond=0) + timedelta(seconds=moment.microsecond > 0)
