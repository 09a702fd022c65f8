"""Read the HTML report of `tap-focus-media verify`."""

from __future__ import annotations

from html.parser import HTMLParser


class HtmlReport(HTMLParser):
    """The text, the elements and the tables of a report.

    Attributes:
        text: the text of the page.
        tags: names of the elements.
        tables: cells of each row by the class of the table and the row's first cell.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: set[str] = set()
        self.tables: dict[str, dict[str, list[str]]] = {}
        self._cells: list[str] = []
        self._table = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag in {"table", "tr"}:
            self._end_row()
        if tag == "table":
            self._table = dict(attrs).get("class") or ""
        elif tag in {"td", "th"}:
            self._cells.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"table", "thead"}:
            self._end_row()

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cells:
            self._cells[-1] += data.strip()

    def _end_row(self) -> None:
        if self._cells:
            first, *others = self._cells
            self.tables.setdefault(self._table, {})[first] = others
        self._cells = []
