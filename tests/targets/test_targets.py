"""Loads feeds through every target, and compares every row and every field.

`results.json` contains what each target does. After a new version or setting of a target, read the
changes that `scripts/test-targets --update-snapshots` makes to it, and run scripts/generate.py,
which writes the table of docs/warehouses.md from it.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.helpers import SLOWNESS
from tests.helpers.runner import clean_environment, run_command
from tests.helpers.s3 import s3_server
from tests.targets.comparison import WRONG, compare, expected_records
from tests.targets.definitions import JSON_TEXT, TARGETS, Target
from tests.targets.environments import environment_of, version_of
from tests.targets.feeds import FEEDS
from tests.targets.stores import BUCKET, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.runner import Run, TapRunner
    from tests.helpers.s3 import S3Server

RESULTS = Path(__file__).with_name("results.json")


class Case(NamedTuple):
    """A target, the form of its JSON columns, and the name of a feed."""

    target: Target
    form: str
    feed: str

    def __str__(self) -> str:
        return f"{self.target.name}, {self.form}, {self.feed}"


CASES = [Case(target, form, feed) for target in TARGETS for form in target.forms for feed in FEEDS]


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        server.create_bucket(BUCKET)
        yield server


@pytest.fixture
def place(case: Case, tmp_path: Path, postgres: str, s3: S3Server) -> Place:
    folder = tmp_path / "store"
    folder.mkdir()
    name = re.sub(r"\W+", "_", str(case).lower())
    return Place(name, folder, environment_of(case.target.package), postgres, s3)


@pytest.mark.targets
@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_target_loads_the_feed_as_recorded(
    case: Case, place: Place, tap: TapRunner, request: pytest.FixtureRequest
) -> None:
    target, form, feed = case
    with target.service(place) as served, FEEDS[feed]() as focus:
        config = {**focus.settings, "json_text": form == JSON_TEXT}
        written: list[dict[str, Any]] = []
        runs = []
        state = None
        for _ in range(2):
            from_tap = tap(config=config, state=state)
            assert from_tap.exit_code == 0, from_tap.log
            assert from_tap.records, "the feed has no second part"
            written += expected_records(from_tap.lines)
            from_target = run_target(target, served, from_tap.out)
            if from_target.exit_code:
                runs.append({"error": error_of(from_target)})
                break
            state = last_state(from_target)
            result = result_of(target, served, written)
            runs.append({**result, "state": state == from_tap.state})
            focus.grow()
    found: dict[str, Any] = {
        "version": version_of(target.package),
        "settings": target.settings,
        "runs": runs,
    }

    key = str(case)
    if request.config.getoption("--update-snapshots"):
        save(key, found)
    recorded = json.loads(RESULTS.read_text("utf-8"))[key]
    assert without_errors(found) == without_errors(recorded)


def run_target(target: Target, place: Place, messages: str) -> Run:
    config = place.folder.parent / "target.json"
    settings = {**target.settings, **target.batches, **target.connect(place)}
    config.write_text(json.dumps(settings), "utf-8")
    return run_command(
        str(place.bin / target.executable),
        "--config",
        str(config),
        folder=place.folder.parent,
        environment=clean_environment(**place.s3.environment),
        stdin=messages,
        timeout=300 * SLOWNESS,
    )


def last_state(run: Run) -> Any:
    """Return the last state that a target wrote, or None."""
    lines = [line for line in run.lines if line.strip()]
    return json.loads(lines[-1]) if lines else None


def error_of(run: Run) -> str:
    """Return the type of the exception that ended a target, and the start of its message."""
    pattern = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception|Invalid|Violation)\w*\b.{,100})")
    found = [match[1] for line in run.log.splitlines() if (match := pattern.match(line))]
    return found[-1] if found else run.log.strip().splitlines()[-1][-100:]


def without_errors(found: dict[str, Any]) -> dict[str, Any]:
    """Return a result without the texts of errors, of which a target may have several."""
    runs = [{**run, "error": True} if "error" in run else run for run in found["runs"]]
    return {**found, "runs": runs}


def result_of(target: Target, place: Place, written: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a run left in the store, compared with all that the tap wrote."""
    found = compare(written, target.read(place))
    result: dict[str, Any] = {
        "rows": found.expected - found.missing,
        "expected": found.expected,
        "extra": found.extra,
        "values": found.values - found.changed,
        "compared": found.values,
        "changes": {name: dict(columns) for name, columns in sorted(found.changes.items())},
        "renamed": found.renamed,
    }
    if WRONG in found.changes:
        result["example"] = found.example
    return result


def save(key: str, found: dict[str, Any]) -> None:
    """Replace a result in `results.json`. Not for several processes at once."""
    results = {}
    with suppress(FileNotFoundError):
        results = json.loads(RESULTS.read_text("utf-8"))
    known = [str(case) for case in CASES]
    results[key] = found
    ordered = {name: results[name] for name in known if name in results}
    RESULTS.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", "utf-8")
