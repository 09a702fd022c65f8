"""Generate the files that repeat facts from the code.

| File                         | Source                                                   |
| ---------------------------- | -------------------------------------------------------- |
| docs/reference/settings.md   | `tap-focus --about`: the tables between the markers      |
| docs/reference/streams.md    | `tap-focus --discover`: the tables between the markers   |
| docs/reference/exit-codes.md | `tap_focus.exit_codes`, and the docstrings of the errors |
| docs/reference/models.md     | transform/models: descriptions of models and columns     |
| docs/audio-archive.md        | `FINDINGS` in `verification/comparison.py`               |
| docs/warehouses.md           | tests/targets/results.json: the table of targets         |
| docs/badges/*.svg            | the metadata of the installed package                    |
| .env.example                 | `tap-focus --about`                                      |
| meltano.yml                  | `tap-focus --about`: capabilities and settings           |
| tap-focus.hub.yml            | `tap-focus --about`                                      |
| tests/RELIABILITY.md         | the `guarantee` marks of the tests: the lists of tests   |

usage: python scripts/generate.py [--check]

With `--check`, no file is written. The exit code is 1 if a file is out of date.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
import textwrap
from importlib.metadata import metadata
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tap_focus.archive.verification.comparison import FINDINGS
from tap_focus.exit_codes import OUTCOMES
from tap_focus.settings import SCHEMA

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
ARCHIVE_PAGE = DOCS / "audio-archive.md"
REFERENCE = DOCS / "reference"
TESTS = ROOT / "tests"

MODEL_FILES = ("marts/focus.yml", "intermediate/int_focus.yml", "staging/stg_focus.yml")

OWN_SETTINGS: dict[str, dict[str, Any]] = SCHEMA["properties"]
GIT_URL = "git+https://git.example.com/tap-focus.git"
"""A placeholder: the package is not on PyPI, and users have their own copy of the repository."""

yaml = YAML()
yaml.width = sys.maxsize


def run_tap(*arguments: str) -> dict[str, Any]:
    """Return the JSON that the installed tap prints."""
    command = [str(Path(sys.executable).parent / "tap-focus"), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main_type(schema: dict[str, Any]) -> str:
    """Return the first JSON type of a schema that is not "null"."""
    types = schema.get("type", "string")
    return next(name for name in ([types] if isinstance(types, str) else types) if name != "null")


def one_line(text: str) -> str:
    """Return text without line breaks."""
    return " ".join(text.split())


# Settings


def flat_settings(about: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return all settings by name, nested ones as `batch_config.encoding.format`."""

    def leaves(prefix: str, properties: dict[str, Any]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for name, schema in properties.items():
            if schema.get("properties") and name != "stream_maps":
                found |= leaves(f"{prefix}{name}.", schema["properties"])
            else:
                found[prefix + name] = schema
        return found

    return leaves("", about["settings"]["properties"])


def meltano_setting(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return Meltano's definition of a setting."""
    kind = {"number": "decimal"}.get(main_type(schema), main_type(schema))
    if "enum" in schema:
        kind = "options"
    elif schema.get("format") == "date-time":
        kind = "date_iso8601"
    result: dict[str, Any] = {"name": name, "kind": kind}
    if schema.get("default") is not None:
        result["value"] = schema["default"]
    result["label"] = schema.get("title", name)
    result["description"] = one_line(schema.get("description", ""))
    if "enum" in schema:
        result["options"] = [{"label": str(v).upper(), "value": v} for v in schema["enum"]]
    if schema.get("secret"):
        result["sensitive"] = True
    return result


def meltano_settings(about: dict[str, Any]) -> list[dict[str, Any]]:
    """Return Meltano's definitions of all settings."""
    return [meltano_setting(name, schema) for name, schema in flat_settings(about).items()]


def settings_tables(about: dict[str, Any]) -> dict[str, str]:
    """Return the tables of the tap's settings and of the SDK's settings."""
    required = about["settings"]["required"]
    header = ["| Setting | Type | Default | Description |", "| --- | --- | --- | --- |"]
    tables = {"settings": [*header], "sdk settings": [*header]}
    for name, schema in flat_settings(about).items():
        type_name = schema.get("format", main_type(schema))
        if "enum" in schema:
            type_name = " ".join(f"`{value}`" for value in schema["enum"])
        type_name += ", secret" * bool(schema.get("secret")) + ", required" * (name in required)
        default = f"`{schema['default']}`" if schema.get("default") is not None else ""
        description = one_line(schema.get("description", ""))
        table = tables["settings" if name in OWN_SETTINGS else "sdk settings"]
        table.append(f"| `{name}` | {type_name} | {default} | {description} |")
    return {name: "\n".join(rows) for name, rows in tables.items()}


def environment_example(about: dict[str, Any]) -> str:
    """Return `.env.example`: each setting of the tap, commented out, with its description."""
    required = about["settings"]["required"]
    lines = [
        "# Settings for this checkout's Meltano project, generated by scripts/generate.py.",
        "# Copy this file to .env, which git ignores, and uncomment the lines that you need.",
        "# An empty value counts as set.",
    ]
    for name, schema in OWN_SETTINGS.items():
        description = schema["description"].replace("`", "")
        if "enum" in schema:
            description += f" One of: {', '.join(schema['enum'])}."
        if name in required:
            description += " Required."
        default = schema.get("default", "")
        lines += [
            "",
            *textwrap.wrap(one_line(description), 97, initial_indent="# ", subsequent_indent="# "),
        ]
        lines.append(f"# TAP_FOCUS_{name.upper()}={default}")
    lines += ["", "# The PostgreSQL database that target-postgres loads into."]
    lines += [f"# TARGET_POSTGRES_{name}=" for name in ("HOST", "USER", "PASSWORD", "DATABASE")]
    lines += [
        "",
        "# Meltano's system database contains the state. The default is a file in .meltano, so",
        "# set this where that folder does not last.",
        "# MELTANO_DATABASE_URI=postgresql+psycopg://USER:PASSWORD@HOST/DATABASE",
    ]
    return "\n".join(lines) + "\n"


def to_yaml(value: object) -> str:
    """Return YAML in the layout that Meltano writes."""
    text = StringIO()
    yaml.dump(value, text)
    return text.getvalue()


def hub_definition(about: dict[str, Any]) -> str:
    """Return the plugin definition for `meltano add --from-ref`, in the format of the Hub."""
    required = about["settings"]["required"]
    comment = "# Generated by scripts/generate.py from `tap-focus --about`.\n"
    return comment + to_yaml(
        {
            "name": about["name"],
            "namespace": "tap_focus",
            "label": "Focus",
            "variant": "tap-focus",
            "description": about["description"],
            "pip_url": f"{GIT_URL}@v{about['version']}",
            "executable": about["name"],
            "capabilities": about["capabilities"],
            "select": ["recordings.*"],
            "settings_group_validation": [[*required, "region"], [*required, "api_url"]],
            "settings": meltano_settings(about),
        }
    )


def meltano_project(about: dict[str, Any]) -> str:
    """Return `meltano.yml` with the tap's current settings and capabilities."""
    text = (ROOT / "meltano.yml").read_text(encoding="utf-8")
    content = yaml.load(text)
    plugin = next(p for p in content["plugins"]["extractors"] if p["name"] == about["name"])
    wanted = {"capabilities": about["capabilities"], "settings": meltano_settings(about)}
    if all(plugin[name] == value for name, value in wanted.items()):
        return text
    plugin.update(wanted)
    return to_yaml(content)


# Streams, exit codes, findings, badges


def columns_table(stream: dict[str, Any]) -> str:
    """Return the table of a stream's columns."""
    rows = ["| Column | Type | Description |", "| --- | --- | --- |"]

    def add(prefix: str, properties: dict[str, Any]) -> None:
        for name, schema in properties.items():
            types = [name for name in schema["type"] if name != "null"]
            type_name = "any" if len(types) > 1 else schema.get("format", types[0])
            description = one_line(schema["description"])
            rows.append(f"| `{prefix}{name}` | {type_name} | {description} |")
            add(f"{prefix}{name}.", schema.get("properties", {}))
            add(f"{prefix}{name}[].", schema.get("items", {}).get("properties", {}))

    add("", stream["schema"]["properties"])
    return "\n".join(rows)


def models_tables() -> str:
    """Return a section with the table of columns for each model: first those for analysts."""
    paths = [ROOT / "transform" / "models" / path for path in MODEL_FILES]
    lines: list[str] = []
    for model in (model for path in paths for model in yaml.load(path)["models"]):
        lines += [f"## `{model['name']}`", "", model["description"], ""]
        lines += ["| Column | Description | Personal |", "| --- | --- | --- |"]
        for column in model["columns"]:
            rules = column.get("config", {}).get("meta", {}).get("personal_data", [])
            personal = ", ".join(f"`{rule}`" for rule in rules)
            lines.append(f"| `{column['name']}` | {column['description']} | {personal} |")
        lines.append("")
    return "\n".join(lines)


def exit_codes_table() -> str:
    """Return the table of the errors that end a run, with their exit codes and advice."""
    with_status = {key[0] for key in OUTCOMES if isinstance(key, tuple)}
    lines = ["| Code | Error | Cause | What to do |", "| --- | --- | --- | --- |"]
    for key, (exit_code, advice) in sorted(OUTCOMES.items(), key=lambda item: item[1].exit_code):
        error, status = key if isinstance(key, tuple) else (key, 0)
        cause = one_line((inspect.getdoc(error) or "").partition("\n\n")[0])
        cause = cause.removeprefix("Raised when ")
        cause = cause[:1].upper() + cause[1:]
        if error in with_status:
            cause += f" Status {status}." if status else " Another 4xx status."
        lines.append(f"| {exit_code} | `{error.__name__}` | {cause} | {advice} |")
    return "\n".join(lines)


def findings_table() -> str:
    """Return the table of the findings of `tap-focus-media verify`."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in FINDINGS.items()]
    return "\n".join(["| Finding | Meaning |", "| --- | --- |", *rows])


def badges() -> dict[Path, str]:
    """Return the badges of README as images, so that they need no network."""
    package = metadata("tap-focus")
    classifiers = "\n".join(package.get_all("Classifier", []))
    minors = [int(minor) for minor in re.findall(r":: Python :: 3\.(\d+)\b", classifiers)]
    texts = {
        "license": ("license", package["License-Expression"]),
        "python": ("python", f"3.{min(minors)} to 3.{max(minors)}"),
    }
    return {ROOT / "docs" / "badges" / f"{name}.svg": badge(*text) for name, text in texts.items()}


def badge(label: str, value: str) -> str:
    """Return an SVG image with a label on gray and a value on blue."""
    left, right = (6 * len(text) + 16 for text in (label, value))
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img"
     aria-label="{label}: {value}">
  <rect width="{left + right}" height="20" rx="3" fill="#555"/>
  <path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1 -3 3h-{right - 3}z" fill="#0a6ebd"/>
  <g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
    <text x="{left / 2:g}" y="14">{label}</text>
    <text x="{left + right / 2:g}" y="14">{value}</text>
  </g>
</svg>
"""


# Targets


def targets_table() -> str:
    """Return the table of what each target of the matrix does with the records."""
    results = json.loads((TESTS / "targets" / "results.json").read_text(encoding="utf-8"))
    feeds: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for key, result in results.items():
        target, form, _ = key.rsplit(", ", 2)
        feeds.setdefault((target, form), []).append(result)
    lines = [
        "| Target | Settings | Rows | Values | Second run | Changes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (target, form), found in feeds.items():
        settings = [f"`{name}: {value}`" for name, value in plain_settings(found[0]["settings"])]
        settings += ["`json_text: true`"] * (form == "json_text")
        cells = results_cells(found)
        is_known = form == "json_text" and lines[-1].endswith(f"| {' | '.join(cells)} |")
        if not is_known:  # the same error in both forms
            name = f"{target} {found[0]['version']}"
            lines.append(f"| {' | '.join([name, ', '.join(settings), *cells])} |")
    return "\n".join(lines)


def plain_settings(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return names and values of settings, nested ones as `format.format_type`."""
    found = []
    for name, value in settings.items():
        if isinstance(value, dict):
            found += plain_settings(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value if isinstance(value, str) else json.dumps(value)))
    return found


def results_cells(found: list[dict[str, Any]]) -> list[str]:
    """Return the cells of a target for its results with both feeds."""
    runs = [run for result in found for run in result["runs"]]
    errors = [run["error"].replace("|", "") for run in runs if "error" in run]
    if errors:
        failed = "none" if len(errors) == len(found) else "no odd ones"
        return [failed, "", "", f"The load fails: `{errors[0]}`"]
    firsts, seconds = ([result["runs"][number] for result in found] for number in (0, 1))
    changes = list(dict.fromkeys(name for run in runs for name in run["changes"]))
    if any(run["renamed"] for run in runs):
        changes.append("names in lower case")
    changes += ["state behind"] * (not all(run["state"] for run in runs))
    return [
        share(firsts, "rows", "expected"),
        share(runs, "values", "compared"),
        share(seconds, "rows", "expected"),
        ", ".join(changes),
    ]


def share(runs: list[dict[str, Any]], right: str, total: str) -> str:
    """Return "all", or how many of a number are right."""
    rights, totals = (sum(run[name] for run in runs) for name in (right, total))
    return "all" if rights == totals else f"{rights:,} of {totals:,}"


# Reliability


def tests_by_guarantee() -> dict[str, list[str]]:
    """Return the tests that are marked with each guarantee, as links relative to `tests`."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        file = path.relative_to(TESTS)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("guarantee"):
                    for slug in mark.args:
                        link = f"- [`{node.name}`]({file})"
                        found.setdefault(ast.literal_eval(slug), []).append(link)
    return found


def reliability() -> str:
    """Return `tests/RELIABILITY.md` with the tests of each guarantee."""
    path = TESTS / "RELIABILITY.md"
    tests = tests_by_guarantee()
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("- [`test_"):
            continue
        if line == "<!-- tests -->":
            slug = next(text[4:] for text in reversed(lines) if text.startswith("### "))
            if slug not in tests:
                sys.exit(f"{path.name}: no test is marked with the guarantee {slug!r}")
            lines += [line, *tests.pop(slug)]
            continue
        lines.append(line)
    if tests:
        sys.exit(f"{path.name} does not list the guarantees {sorted(tests)}")
    return "\n".join(lines) + "\n"


# Files


def fill(path: Path, parts: dict[str, str]) -> str:
    """Return a file's text with each part between its markers.

    The markers of a part are `<!-- generated: NAME -->` and `<!-- end -->`, each on its own line.
    """
    text = path.read_text(encoding="utf-8")
    for name, part in parts.items():
        start, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        if text.count(start) != 1:
            sys.exit(f"{path.name} must contain the marker {start.strip()!r} once")
        before, _, rest = text.partition(start)
        text = f"{before}{start}{part.rstrip()}\n{end}{rest.partition(end)[2]}"
    return text


def generated_files() -> dict[Path, str]:
    """Return the correct content of every generated file."""
    about = run_tap("--about", "--format=json")
    streams = run_tap("--discover")["streams"]
    columns = {f"columns of {s['tap_stream_id']}": columns_table(s) for s in streams}
    return {
        REFERENCE / "settings.md": fill(REFERENCE / "settings.md", settings_tables(about)),
        REFERENCE / "streams.md": fill(REFERENCE / "streams.md", columns),
        REFERENCE / "models.md": fill(REFERENCE / "models.md", {"models": models_tables()}),
        REFERENCE / "exit-codes.md": fill(
            REFERENCE / "exit-codes.md", {"errors": exit_codes_table()}
        ),
        ARCHIVE_PAGE: fill(ARCHIVE_PAGE, {"findings": findings_table()}),
        DOCS / "warehouses.md": fill(DOCS / "warehouses.md", {"targets": targets_table()}),
        **badges(),
        ROOT / ".env.example": environment_example(about),
        ROOT / "meltano.yml": meltano_project(about),
        ROOT / "tap-focus.hub.yml": hub_definition(about),
        TESTS / "RELIABILITY.md": reliability(),
    }


def main() -> int:
    """Write the files that are out of date, or only name them."""
    check = "--check" in sys.argv[1:]
    stale = {
        path: text
        for path, text in generated_files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        name = path.relative_to(ROOT)
        if check:
            print(f"{name} is out of date. Run python scripts/generate.py")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
