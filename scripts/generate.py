"""Write what follows from `tap-focus --about` and `--discover` into the files that repeat it.

README's tables, the settings in meltano.yml, and the plugin definition in the Meltano Hub's
format; and which tests hold which case of tests/RELIABILITY.md.

With `--check` nothing is written: the exit code is 1 if a file would change.

usage: python scripts/generate.py [--check]
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
RELIABILITY = ROOT / "tests" / "RELIABILITY.md"
DEFINITION = ROOT / "tap-focus.hub.yml"
PROJECT = ROOT / "meltano.yml"
KINDS = {"number": "decimal", "string": "string"}

yaml = YAML()
yaml.width = sys.maxsize


def tap(*arguments: str) -> dict[str, Any]:
    """Return what the installed tap prints as JSON."""
    command = [str(Path(sys.executable).parent / "tap-focus"), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd="/")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def kind_of(schema: dict[str, Any]) -> str:
    """Return a JSON type without "null"; of several, the first."""
    kinds = schema.get("type", "string")
    return next(k for k in ([kinds] if isinstance(kinds, str) else kinds) if k != "null")


def setting(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Make Meltano's definition of a setting from its JSON schema."""
    kind = kind_of(schema)
    if "enum" in schema:
        kind = "options"
    elif schema.get("format") == "date-time":
        kind = "date_iso8601"
    result: dict[str, Any] = {"name": name, "kind": KINDS.get(kind, kind)}
    if schema.get("default") is not None:
        result["value"] = schema["default"]
    result["label"] = schema.get("title", name)
    result["description"] = " ".join(schema.get("description", "").split())
    if "enum" in schema:
        result["options"] = [{"label": str(v).upper(), "value": v} for v in schema["enum"]]
    if schema.get("secret"):
        result["sensitive"] = True
    return result


def settings(about: dict[str, Any]) -> list[dict[str, Any]]:
    """Flatten the settings as Meltano does: `batch_config.encoding.format` and so on."""

    def leaves(prefix: str, properties: dict[str, Any]) -> list[dict[str, Any]]:
        found = []
        for name, schema in properties.items():
            if schema.get("properties") and name != "stream_maps":
                found += leaves(f"{prefix}{name}.", schema["properties"])
            else:
                found.append(setting(prefix + name, schema))
        return found

    return leaves("", about["settings"]["properties"])


def as_yaml(value: object) -> str:
    """Return YAML, laid out as Meltano itself does when it changes a project file."""
    text = StringIO()
    yaml.dump(value, text)
    return text.getvalue()


def hub_definition(about: dict[str, Any]) -> str:
    """Return the plugin definition for `meltano add --from-ref`, in the Hub's format."""
    required = about["settings"]["required"]
    return "# Made by scripts/generate.py from `tap-focus --about`.\n" + as_yaml(
        {
            "name": about["name"],
            "namespace": "tap_focus",
            "label": "Focus",
            "variant": "tap-focus",
            "description": about["description"],
            "pip_url": f"tap-focus~={about['version']}",
            "executable": about["name"],
            "capabilities": about["capabilities"],
            "select": ["recordings.*"],
            "settings_group_validation": [[*required, "region"], [*required, "api_url"]],
            "settings": settings(about),
        }
    )


def settings_table(about: dict[str, Any]) -> str:
    """Return README's table of the tap's own settings; the SDK's are named below it."""
    required = about["settings"]["required"]
    rows = ["| Setting | Kind | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, schema in about["settings"]["properties"].items():
        if name in SDK_SETTINGS:
            continue
        kind = kind_of(schema)
        if "enum" in schema:
            kind = " ".join(f"`{value}`" for value in schema["enum"])
        elif "format" in schema:
            kind = schema["format"]
        kind += ", secret" * bool(schema.get("secret")) + ", required" * (name in required)
        default = f"`{schema['default']}`" if schema.get("default") is not None else ""
        rows.append(f"| `{name}` | {kind} | {default} | {schema['description']} |")
    return "\n".join(rows)


SDK_SETTINGS = (
    "stream_maps",
    "stream_map_config",
    "faker_config",
    "flattening_enabled",
    "flattening_max_depth",
    "flattening_max_key_length",
    "flattening_separator",
    "batch_config",
)


def columns_table(stream: dict[str, Any]) -> str:
    """Return README's table of a stream's columns."""
    rows = ["| Column | Type | Meaning |", "| --- | --- | --- |"]

    def add(prefix: str, properties: dict[str, Any]) -> None:
        for name, schema in properties.items():
            kinds = [k for k in schema["type"] if k != "null"]
            kind = "any" if len(kinds) > 1 else schema.get("format", kinds[0])
            rows.append(f"| `{prefix}{name}` | {kind} | {schema['description']} |")
            add(f"{prefix}{name}.", schema.get("properties", {}))
            add(f"{prefix}{name}[].", schema.get("items", {}).get("properties", {}))

    add("", stream["schema"]["properties"])
    return "\n".join(rows)


def project(about: dict[str, Any]) -> str:
    """Return meltano.yml with the tap's settings and capabilities, the rest as it is."""
    text = PROJECT.read_text(encoding="utf-8")
    content = yaml.load(text)
    plugin = next(p for p in content["plugins"]["extractors"] if p["name"] == about["name"])
    wanted = {"capabilities": about["capabilities"], "settings": settings(about)}
    if all(plugin[name] == value for name, value in wanted.items()):
        return text
    plugin.update(wanted)
    return as_yaml(content)


def fill(path: Path, parts: dict[str, str]) -> str:
    """Return a file's text with each part between its marks."""
    text = path.read_text(encoding="utf-8")
    for name, part in parts.items():
        begin, end = re.escape(f"<!-- generated: {name} -->"), re.escape("<!-- end -->")
        pattern = re.compile(rf"({begin}\n).*?(^{end})", re.DOTALL | re.MULTILINE)
        # Doubled backslashes: in a replacement one would begin a group's name.
        whole = part.rstrip().replace("\\", r"\\")
        text, found = pattern.subn(rf"\g<1>{whole}\n\g<2>", text)
        if found != 1:
            sys.exit(f"{path.name}: the marks of {name!r} were found {found} times, not once")
    return text


def tests_by_case() -> dict[int, list[str]]:
    """Return the names of the tests that are marked with each case, with their files."""
    cases: dict[int, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for mark in getattr(node, "decorator_list", []):
                if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("case"):
                    for number in mark.args:
                        found = cases.setdefault(ast.literal_eval(number), [])
                        found.append(f"`{node.name}` ({path.relative_to(ROOT / 'tests')})")  # type: ignore[attr-defined]
    return cases


def reliability(path: Path) -> str:
    """Return the table of cases with the tests that hold each."""
    lines = path.read_text(encoding="utf-8").splitlines()
    tests = tests_by_case()
    for place, line in enumerate(lines):
        row = re.match(r"(\| (\d+) \| .*? \|)", line)
        if row:
            held = tests.pop(int(row[2]), None)
            if not held:
                sys.exit(f"{path.name}: no test holds case {row[2]}")
            lines[place] = f"{row[1]} {'<br>'.join(held)} |"
    if tests:
        sys.exit(f"{path.name}: no row for the cases {sorted(tests)}")
    return "\n".join(lines) + "\n"


def documents() -> dict[Path, str]:
    """Return every file as it should be."""
    about = tap("--about", "--format=json")
    streams = {s["tap_stream_id"]: s for s in tap("--discover")["streams"]}
    readme = {
        "settings": settings_table(about),
        **{f"columns of {name}": columns_table(stream) for name, stream in streams.items()},
    }
    return {
        DEFINITION: hub_definition(about),
        RELIABILITY: reliability(RELIABILITY),
        PROJECT: project(about),
        ROOT / "README.md": fill(ROOT / "README.md", readme),
    }


def main() -> int:
    """Write the files, or with `--check` say which ones are stale."""
    check = "--check" in sys.argv[1:]
    stale = [
        path
        for path, text in documents().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if check:
            print(f"{path.name} is stale: run python scripts/generate.py")
        else:
            path.write_text(documents()[path], encoding="utf-8")
            print(f"wrote {path.name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
