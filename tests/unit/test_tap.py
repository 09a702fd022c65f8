"""How the command ends when nobody foresaw what happened."""

from __future__ import annotations

import pytest

from tap_focus.tap import TapFocus


def test_what_nobody_foresaw_is_one_line_without_the_errors_own_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise LookupError("canary: a name, a number")

    monkeypatch.setattr(TapFocus, "cli", fail)
    with pytest.raises(SystemExit) as stopped:
        TapFocus.main()
    assert stopped.value.code == 70
    (line,) = caplog.messages
    assert line.startswith("LookupError in tap.py, line ")
    assert " and test_tap.py, line " in line
    assert "canary" not in caplog.text
