"""Walks Focus's cursor: pages in order, the next one fetched while this one is used."""

from __future__ import annotations

import typing as t
from collections import deque
from threading import Semaphore

from tap_focus.api.page import WRITTEN, Answer, Page, Plain, decode, examine
from tap_focus.api.threads import Background, result
from tap_focus.errors import BadAnswerError, CursorRefusedError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

_REMEMBERED_CURSORS = 1000
"""How far back a cursor is recognised at once that came before; memory must not grow with the feed,
so one from longer ago is recognised only in a further round (by Brent's algorithm)."""

_Link = tuple[Answer, "Future[_Link] | None"]
"""An answer, and what will bring the next one; None at the end."""


class Fetch(t.Protocol):
    """What asks Focus with a query and decodes its answer: `Client.get_page`."""

    def __call__(self, params: dict[str, str], decode: Callable[[bytes], Answer]) -> Answer:
        """Return the answer, or raise a `FocusError`."""


def walk(  # noqa: PLR0913 - each is named by its caller
    fetch: Fetch,
    *,
    page_size: int,
    cursor: str | None,
    from_date: str | None = None,
    plain: Plain | None = None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Page]:
    """Walk the feed from a cursor, or from a date, or from its beginning, until up to date.

    Args:
        fetch: asks Focus.
        page_size: recordings to ask for at once.
        cursor: where to go on; sent exactly as it was given.
        from_date: where to begin without a cursor, as `YYYY-MM-DDTHH:MM:SSZ`; never sent with one.
        plain: tells which recordings are plain; without it none is.
        check: called for each page and several times a second while one is waited for; may raise,
            to give up.

    Yields:
        The pages in order; the last one is the first that is empty. While the caller uses a page,
        the next one, and no more, is being fetched. What goes wrong with that one is raised only
        when the caller asks for it.

    Raises:
        BadAnswerError: a page with recordings led back to a cursor that came before, or Focus
            refused a cursor of this run.
        UnusableRecordingError: a recording has no id.
        FocusError: what `fetch` raised.
    """
    start = {"cursorId": cursor} if cursor else {"fromDate": from_date} if from_date else {}
    seen = deque([hash(cursor)], maxlen=_REMEMBERED_CURSORS)
    milestone = hash(cursor)
    background = Background(1, "fetch")
    # One page ahead of the caller's, and each that the caller waits for.
    allowed = Semaphore(1)

    def page(query: dict[str, str], number: int) -> _Link:
        nonlocal milestone
        allowed.acquire()
        params = {"numberOfResults": str(page_size), **query}
        answer = fetch(params, lambda body: decode(body, number))
        place = hash(answer.cursor)
        goes_back = place in seen or place == milestone
        seen.append(place)
        if number.bit_count() == 1:  # at powers of two
            milestone = place
        if goes_back or not answer.raws:
            return answer, None
        # Begun here and not by the caller, who has the interpreter to itself once it has the page.
        return answer, background.begin(lambda: page({"cursorId": answer.cursor}, number + 1))

    answer: Answer | None = None
    coming: Future[_Link] | None = background.begin(lambda: page(start, 1))
    while coming:
        allowed.release()
        try:
            answer, following = result(coming, check)
        except CursorRefusedError as error:
            if not answer:
                raise
            raise BadAnswerError(
                f"Focus refused the cursor that it had given with page {answer.number} of this "
                f"run. {WRITTEN}"
            ) from error
        yield examine(answer, plain)
        coming = following
    if answer and answer.raws:
        raise BadAnswerError(
            "Focus's cursor does not advance: page "
            f"{answer.number} of this run led back to a cursor that came before. {WRITTEN}"
        )
