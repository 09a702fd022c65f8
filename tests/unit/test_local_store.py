"""The store in a folder: hard cases besides those of `tests/contract/test_stores.py`."""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tap_focus.archive.stores import listing as listed_store
from tap_focus.archive.stores import partial_file
from tap_focus.archive.stores.checksum_file import CHECKSUM_FILE
from tap_focus.archive.stores.free_space import RESERVE_BYTES
from tap_focus.archive.stores.interface import FileDetails, StoredFile
from tap_focus.archive.stores.local import LocalStore
from tap_focus.errors import FileUnreadableError, StorageError
from tests.helpers.permissions import permissions_apply
from tests.helpers.stores import ACCOUNT, FolderStorage, store_file

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = "2025/05/01"
STEM = f"{DAY}/1000"
PATH = f"{STEM}.mp3"
CONTENT = b"sound" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DETAILS = FileDetails("audio/mpeg", source="5f3c", duration=61.5)
MIB = 1024 * 1024


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path)


@pytest.fixture
def store(storage: FolderStorage) -> LocalStore:
    store = storage.open()
    assert isinstance(store, LocalStore)
    return store


@pytest.fixture
def root(store: LocalStore) -> Path:
    return store.root


def check_sums(folder: Path) -> list[str]:
    """Return what `sha256sum --check --strict` reports. It must be satisfied."""
    command = ["sha256sum", "--check", "--strict", CHECKSUM_FILE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def checksum(*_: Any) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr(LocalStore, "checksum", checksum)


def partial_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.partial"))


def test_sha256sum_accepts_the_checksums_of_a_day(store: LocalStore, root: Path) -> None:
    store_file(store, PATH, CONTENT, DETAILS)
    store_file(store, f"{DAY}/1000-2.mp3", CONTENT * 2, DETAILS)
    store_file(store, f"{DAY}/-5.audio", b"negative id")

    assert check_sums(root / DAY) == ["1000.mp3: OK", "1000-2.mp3: OK", "-5.audio: OK"]


def test_a_later_run_reads_no_audio(
    storage: FolderStorage, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, _ = store_file(store, PATH, CONTENT, DETAILS)
    forbid_reading(monkeypatch)

    assert storage.open().find(STEM) == [stored]


def test_an_entry_is_written_even_if_the_run_is_killed_before_flush(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = multiprocessing.get_context("fork").Process(target=_store_and_die, args=(storage,))
    process.start()
    process.join()
    forbid_reading(monkeypatch)

    assert process.exitcode == -signal.SIGKILL
    assert [file.source for file in storage.open().find(STEM)] == ["5f3c"]


def _store_and_die(storage: FolderStorage) -> None:
    store_file(storage.open(), PATH, CONTENT, DETAILS)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_file_without_an_entry_is_read_once(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put(PATH, CONTENT)
    found = storage.open().find(STEM)
    forbid_reading(monkeypatch)

    assert storage.open().find(STEM) == found
    assert check_sums(storage.folder / DAY) == ["1000.mp3: OK"]


def test_an_altered_file_keeps_the_checksum_that_was_recorded(
    storage: FolderStorage, store: LocalStore, root: Path
) -> None:
    stored, _ = store_file(store, PATH, CONTENT, DETAILS)
    (root / PATH).write_bytes(b"altered")

    assert storage.open().find(STEM) == [stored]
    assert storage.open().recorded_checksum(PATH) == SHA256
    assert storage.open().checksum(PATH)[1] != SHA256


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_lost_file_is_found_as_missing(
    storage: FolderStorage, store: LocalStore, root: Path, lose: Callable[[Path], None]
) -> None:
    store_file(store, PATH, CONTENT, DETAILS)
    lose(root / PATH)

    (found,) = storage.open().find(STEM)
    assert found.is_missing
    assert (found.sha256, found.size, found.source) == (SHA256, len(CONTENT), "5f3c")


def test_a_lost_file_can_be_stored_again(
    storage: FolderStorage, store: LocalStore, root: Path
) -> None:
    store_file(store, PATH, CONTENT, DETAILS)
    (root / PATH).unlink()
    second = storage.open()
    assert second.find(STEM)[0].is_missing
    stored, is_new = store_file(second, PATH, b"downloaded again")

    assert is_new
    assert second.find(STEM) == store.find(STEM) == storage.open().find(STEM) == [stored]
    assert check_sums(root / DAY) == ["1000.mp3: OK"]


def test_a_lost_file_does_not_count_if_there_is_another_one(
    storage: FolderStorage, store: LocalStore, root: Path
) -> None:
    store_file(store, PATH, CONTENT)
    (root / PATH).unlink()
    store_file(store, f"{STEM}.wav", CONTENT)

    assert [file.path for file in storage.open().find(STEM)] == [f"{STEM}.wav"]


def test_checksums_that_sha256sum_wrote_are_used(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put(PATH, CONTENT)
    storage.put(f"{DAY}/{CHECKSUM_FILE}", f"# by hand\n{SHA256.upper()} *1000.mp3\n".encode())
    forbid_reading(monkeypatch)

    expected = StoredFile(path=PATH, size=len(CONTENT), sha256=SHA256, content_type="audio/mpeg")
    assert storage.open().find(STEM) == [expected]


ENTRY = f'# {{"size":{len(CONTENT)},"contentType":"audio/mpeg"}}\n{SHA256}  1000.mp3\n'


@pytest.mark.parametrize("length", range(1, len(ENTRY)))
def test_a_truncated_entry_is_repaired(storage: FolderStorage, length: int) -> None:
    other = hashlib.sha256(b"other").hexdigest()
    first = f"{other}  999.mp3\n"
    storage.put(f"{DAY}/999.mp3", b"other")
    storage.put(PATH, CONTENT)
    storage.put(f"{DAY}/{CHECKSUM_FILE}", (first + ENTRY[:length]).encode())
    store = LocalStore(str(storage.folder))
    store_file(store, f"{DAY}/1001.mp3", b"new")

    assert [file.sha256 for file in store.find(STEM)] == [SHA256]
    assert sorted(check_sums(storage.folder / DAY)) == [
        "1000.mp3: OK",
        "1001.mp3: OK",
        "999.mp3: OK",
    ]


@pytest.mark.parametrize("length", range(1, len(ENTRY)))
def test_a_truncated_entry_does_not_lose_the_size(storage: FolderStorage, length: int) -> None:
    storage.put(PATH, CONTENT)
    storage.put(f"{DAY}/{CHECKSUM_FILE}", ENTRY[:length].encode())

    for store in (LocalStore(str(storage.folder)), LocalStore(str(storage.folder))):
        assert [(file.sha256, file.size) for file in store.find(STEM)] == [(SHA256, len(CONTENT))]


@pytest.mark.parametrize("size", [-5, 10**30])
def test_an_impossible_size_of_an_entry_is_ignored(storage: FolderStorage, size: int) -> None:
    storage.put(PATH, CONTENT)
    entry = ENTRY.replace(f'"size":{len(CONTENT)}', f'"size":{size}')
    storage.put(f"{DAY}/{CHECKSUM_FILE}", entry.encode())

    assert storage.open().find(STEM)[0].size == len(CONTENT)


def test_zeros_after_a_power_failure_are_removed(storage: FolderStorage) -> None:
    storage.put(PATH, CONTENT)
    storage.put(f"{DAY}/{CHECKSUM_FILE}", bytes(4096))

    assert storage.open().find(STEM)[0].sha256 == SHA256
    assert check_sums(storage.folder / DAY) == ["1000.mp3: OK"]


def test_checksums_that_were_edited_meanwhile_are_read_again(
    storage: FolderStorage, store: LocalStore, root: Path
) -> None:
    stored, _ = store_file(store, PATH, CONTENT)
    text = (root / DAY / CHECKSUM_FILE).read_text()
    (root / DAY / CHECKSUM_FILE).write_text(f"# a remark by the operator\n{text}")

    assert store.find(STEM) == [stored]
    (root / DAY / CHECKSUM_FILE).unlink()
    assert store.find(STEM) == [stored]
    assert storage.open().find(STEM) == [stored]


def test_processes_that_store_at_once_record_every_file_once(storage: FolderStorage) -> None:
    storage.open()
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_store_many, args=(storage, n)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(check_sums(storage.folder / DAY)) == 20 + 3 * 10
    assert len(storage.read()) == 50 + 2


def _store_many(storage: FolderStorage, number: int) -> None:
    store = storage.open()
    for shared in range(20):
        store_file(store, f"{DAY}/{shared}.mp3", b"%d" % number)
    for own in range(10):
        store_file(store, f"{DAY}/{number}00{own}.mp3", b"own")
    store.flush()


def test_files_and_folders_are_closed_to_other_users(storage: FolderStorage) -> None:
    mask = os.umask(0)
    try:
        store_file(storage.open(), PATH, CONTENT)
    finally:
        os.umask(mask)

    modes = {
        path.name: path.stat().st_mode & 0o777
        for path in (storage.folder, *storage.folder.rglob("*"))
    }
    assert {name for name, mode in modes.items() if mode not in {0o640, 0o750}} == set()
    assert (modes["1000.mp3"], modes[CHECKSUM_FILE], modes["2025"]) == (0o640, 0o640, 0o750)


def test_a_partial_file_is_in_the_folder_of_the_final_file(store: LocalStore, root: Path) -> None:
    """Each year may be a volume, and a file cannot be renamed from one volume to another."""
    new = store.create(STEM)
    new.write(b"x")

    (partial,) = (root / DAY).iterdir()
    assert partial.name.startswith(".")
    assert store.list_day(DAY) == {}
    new.discard()
    assert list((root / DAY).iterdir()) == []


def test_a_recording_without_audio_needs_no_folder(store: LocalStore, root: Path) -> None:
    new = store.create(STEM)
    new.restart()
    new.discard()

    assert not (root / "2025").exists()


@pytest.mark.parametrize("level", ["2025", "2025/05", DAY])
def test_a_folder_behind_a_symbolic_link_is_used_and_listed(
    storage: FolderStorage, store: LocalStore, root: Path, tmp_path: Path, level: str
) -> None:
    store_file(store, PATH, CONTENT)
    (root / level).rename(tmp_path / "other disk")
    (root / level).symlink_to(tmp_path / "other disk")
    store = LocalStore(str(storage.folder))
    store_file(store, f"{DAY}/2.mp3", b"second")
    store.flush()

    assert [file.path for file in store.find(STEM)] == [PATH]
    assert list(store.list_days()) == [DAY]
    assert store.list_day(DAY) == {"1000.mp3": len(CONTENT), "2.mp3": 6}


@pytest.mark.parametrize("level", ["2025", "2025/05", DAY])
def test_a_folder_behind_a_broken_link_is_not_taken_for_an_empty_one(
    storage: FolderStorage, store: LocalStore, root: Path, level: str
) -> None:
    """The year's own disk is not mounted."""
    (root / level).parent.mkdir(parents=True, exist_ok=True)
    (root / level).symlink_to("/nowhere/disk")
    uses: list[Callable[[], object]] = [
        lambda: storage.open().find(STEM),
        lambda: store.list_day(DAY),
        lambda: list(store.list_days()),
    ]

    for use in uses:
        with pytest.raises(StorageError, match=r"is a broken link\. Is its target mounted\?$"):
            use()


def test_a_file_behind_a_symbolic_link_is_found_and_listed(
    storage: FolderStorage, store: LocalStore, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").write_bytes(CONTENT)
    (root / DAY).mkdir(parents=True)
    (root / PATH).symlink_to(tmp_path / "elsewhere")

    assert [file.sha256 for file in store.find(STEM)] == [SHA256]
    assert storage.open().list_day(DAY) == {"1000.mp3": len(CONTENT)}


@pytest.mark.parametrize("kind", ["broken link", "folder", "pipe"])
def test_another_kind_of_file_concerns_its_recording_only(
    store: LocalStore, root: Path, kind: str
) -> None:
    (root / DAY).mkdir(parents=True)
    path = root / PATH
    if kind == "broken link":
        path.symlink_to("nowhere")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)

    assert store.find(STEM) == []
    with pytest.raises(FileUnreadableError, match="another kind of file has its name"):
        store_file(store, PATH, CONTENT)
    assert partial_names(root) == []
    assert store_file(store, f"{DAY}/2.mp3", CONTENT)[1]


def test_a_file_without_read_right_concerns_its_recording_only(
    store: LocalStore, root: Path
) -> None:
    (root / DAY).mkdir(parents=True)
    (root / PATH).write_bytes(CONTENT)
    (root / PATH).chmod(0)
    with permissions_apply(), pytest.raises(FileUnreadableError, match="Permission denied"):
        store.find(STEM)
    store_file(store, f"{DAY}/2.mp3", CONTENT)

    assert store.find(STEM)
    with permissions_apply():
        assert len(store.find(f"{DAY}/2")) == 1


def test_a_recorded_file_without_read_right_is_found(store: LocalStore, root: Path) -> None:
    stored, _ = store_file(store, PATH, CONTENT)
    (root / PATH).chmod(0)

    with permissions_apply():
        assert store.find(STEM) == [stored]


@pytest.mark.parametrize("level", ["", "2025", DAY])
def test_an_unreadable_folder_is_not_taken_for_an_empty_one(
    storage: FolderStorage, store: LocalStore, root: Path, level: str
) -> None:
    store_file(store, PATH, CONTENT)
    (root / level).chmod(0)
    try:
        with permissions_apply():
            new = LocalStore(str(storage.folder))
            for use in (lambda: new.find(STEM), lambda: new.list_day(DAY)):
                with pytest.raises(StorageError, match="Permission denied"):
                    use()
            if level != DAY:
                with pytest.raises(StorageError, match="Permission denied"):
                    list(new.list_days())
    finally:
        (root / level).chmod(0o750)


def test_an_unexpected_folder_without_read_right_is_listed(store: LocalStore, root: Path) -> None:
    for folder in (".Trash-0", f"{DAY}/other"):
        (root / folder).mkdir(parents=True)
        (root / folder).chmod(0)

    with permissions_apply():
        assert list(store.list_unexpected()) == [".Trash-0/"]
        assert store.list_day(DAY) == {"other/": 0}
    for folder in (".Trash-0", f"{DAY}/other"):
        (root / folder).chmod(0o700)


def test_lost_and_found_of_a_volume_is_not_unexpected(store: LocalStore, root: Path) -> None:
    for folder in ("", "2025", DAY):
        (root / folder / "lost+found").mkdir(parents=True)

    assert list(store.list_unexpected()) == []
    assert store.list_day(DAY) == {}


def test_stale_partial_files_are_removed_when_a_run_lists_their_folder(
    storage: FolderStorage, root: Path, tmp_path: Path
) -> None:
    def partial(name: str, hours: float) -> Path:
        path = root / DAY / f".{name * 32}.partial"
        path.write_bytes(b"x")
        os.utime(path, (time.time() - hours * 3600,) * 2)
        return path

    (root / DAY).mkdir(parents=True)
    stale, recent, link = partial("a", 25), partial("b", 23), partial("c", 1)
    link.unlink()
    victim = tmp_path / "victim"
    victim.write_bytes(b"x")
    os.utime(victim, (0, 0))
    link.symlink_to(victim)
    other = root / DAY / ".other.partial"
    other.write_bytes(b"x")
    os.utime(other, (0, 0))
    verified = storage.store()  # verify changes nothing
    verified.list_day(DAY)
    verified.recorded_checksum(PATH)
    seen_by_verify = stale.exists()
    storage.open().find(STEM)

    assert seen_by_verify
    assert not stale.exists()
    assert recent.exists()
    assert link.is_symlink()
    assert victim.exists()
    assert other.exists()


def test_a_symbolic_link_in_place_of_the_checksums_is_not_followed(
    store: LocalStore, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "victim").write_bytes(b"x\n")
    (root / DAY).mkdir(parents=True)
    (root / DAY / CHECKSUM_FILE).symlink_to(tmp_path / "victim")

    with pytest.raises(StorageError):
        store_file(store, PATH, CONTENT)
    assert (tmp_path / "victim").read_bytes() == b"x\n"


def test_a_file_is_durable_before_it_gets_its_name_and_folders_after_flush(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []
    fsync, link = os.fsync, os.link

    def recorded_fsync(file: int) -> None:
        calls.append(("fsync", Path(f"/proc/self/fd/{file}").readlink().name))
        fsync(file)

    def recorded_link(source: Path, target: Path) -> None:
        calls.append(("link", target.name))
        link(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "link", recorded_link)
    store_file(store, PATH, CONTENT)
    (kind, partial), *rest = calls
    calls.clear()
    store.flush()

    assert kind == "fsync"
    assert partial.endswith(".partial")
    assert rest == [("link", "1000.mp3")]
    assert {name for _, name in calls} == {CHECKSUM_FILE, "01", "05", "2025", root.name}
    calls.clear()
    store.flush()
    assert calls == []


def test_flush_covers_files_that_a_concurrent_run_has_just_stored(
    storage: FolderStorage, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_file(store, PATH, CONTENT)
    second = storage.open()
    second.find(STEM)
    synced: list[Path] = []
    monkeypatch.setattr("tap_focus.archive.stores.local.sync_folder", synced.append)
    second.flush()

    assert storage.folder / DAY in synced


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_without_hard_links_files_are_renamed_and_never_replaced(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def no_link(*_: Any) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", no_link)
    first = store_file(store, PATH, CONTENT)
    second = store_file(store, PATH, b"another")

    assert (first[1], second[1]) == (True, False)
    assert (root / PATH).read_bytes() == CONTENT
    assert partial_names(root) == []


def fake_disk(monkeypatch: pytest.MonkeyPatch, size: int, free: int) -> None:
    disk = SimpleNamespace(f_blocks=size // 512, f_frsize=512, f_bavail=free // 512)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)


@pytest.mark.parametrize(
    ("size", "free", "fits"),
    [
        (10 * MIB, MIB, True),
        (10 * MIB, MIB // 2, False),
        (10**12, RESERVE_BYTES + MIB, True),
        (10**12, RESERVE_BYTES, False),
        (0, 0, True),  # a file system that reports no size
    ],
)
def test_a_download_stops_before_the_disk_is_full(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, *, size: int, free: int, fits: bool
) -> None:
    fake_disk(monkeypatch, size, free)
    new = store.create(STEM)
    if fits:
        new.write(CONTENT)
        assert new.commit(PATH, DETAILS)[1]
    else:
        with pytest.raises(StorageError, match="the disk is almost full"):
            new.write(CONTENT)
        new.discard()
        assert partial_names(store.root) == []


def test_a_failed_write_is_a_storage_error_with_the_reason(store: LocalStore, root: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    new = store.create(STEM)
    try:
        with pytest.raises(StorageError) as caught:
            new.write(CONTENT * 100)
    finally:
        new.discard()
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)

    assert str(caught.value) == "Cannot write to media_path: File too large"
    assert partial_names(root) == []


def test_a_failed_entry_leaves_the_checksums_valid(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_file(store, f"{DAY}/1.mp3", CONTENT)
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: len(data) // 2]))
    with pytest.raises(StorageError, match="No space left"):
        store_file(store, PATH, CONTENT)
    monkeypatch.undo()

    assert check_sums(root / DAY) == ["1.mp3: OK"]
    assert [file.sha256 for file in LocalStore(str(root)).find(STEM)] == [SHA256]


def test_open_checks_that_the_folder_can_be_written(storage: FolderStorage, root: Path) -> None:
    root.chmod(0o550)
    try:
        with permissions_apply(), pytest.raises(StorageError, match="Permission denied"):
            storage.store().open(ACCOUNT, has_bookmark=True)
    finally:
        root.chmod(0o750)


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match=r"^Cannot open media_path: Not a directory$"):
        LocalStore(str(tmp_path / "file" / "audio")).open(ACCOUNT, has_bookmark=False)


def test_the_cache_of_names_is_bounded(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for month in range(1, 13):
        for number in range(5):
            storage.put(f"2025/{month:02}/15/{month * 10 + number}.mp3", CONTENT)
    monkeypatch.setattr(listed_store, "MAX_CACHED_NAMES", 12)
    store = storage.open()
    assert isinstance(store, LocalStore)
    found = [
        file.path
        for month in range(1, 13)
        for number in range(5)
        for file in store.find(f"2025/{month:02}/15/{month * 10 + number}")
    ]

    assert len(found) == 60
    assert sum(len(day) for day in store._days.values()) <= 12
    monkeypatch.setattr(listed_store, "MAX_CACHED_DAYS", 5)
    store.find("2025/06/01/1")
    assert len(store._days) == 5
    assert store._cached_names == sum(len(day) for day in store._days.values())


def test_partial_names_of_a_run_are_recognized(store: LocalStore) -> None:
    new = store.create(STEM)
    new.write(b"x")

    assert all(partial_file.is_partial(name) for name in partial_names(store.root))
    new.discard()


def test_a_read_only_folder_is_read(storage: FolderStorage) -> None:
    stale = f"{DAY}/.{'a' * 32}.partial"
    storage.put(PATH, CONTENT)
    storage.put(stale, b"half")
    os.utime(storage.folder / stale, (1, 1))
    store = storage.open()
    folder = storage.folder / DAY
    folder.chmod(0o555)
    try:
        with permissions_apply():
            files = store.find(STEM)
    finally:
        folder.chmod(0o755)

    assert [file.sha256 for file in files] == [SHA256]
    assert (storage.folder / stale).exists()
    assert not (folder / CHECKSUM_FILE).exists()


def test_a_link_in_a_loop_concerns_one_recording(storage: FolderStorage) -> None:
    storage.put(PATH, CONTENT)
    loop = storage.folder / DAY / "1001.mp3"
    loop.symlink_to(loop)
    store = storage.open()

    assert [file.sha256 for file in store.find(STEM)] == [SHA256]
    with pytest.raises(FileUnreadableError):
        store.find(f"{DAY}/1001")
