"""`--format` as Docker's commands take it: table, json, `table TEMPLATE`, TEMPLATE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coracle.cli.compose.chosen import fail
from coracle.cli.gotemplate import Template, TemplateError, as_json
from coracle.cli.tabular import tabulated

LEAST = 10
Row = Mapping[str, Any]


def formatted(rows: Sequence[Row], form: str, *, table: str, heads: Mapping[str, str]) -> str:
    """What is printed.  `table`: the template of the table; `heads`: field -> its head.

    Ends the program for a template that is none.
    """
    form = {"": f"table {table}", "table": f"table {table}"}.get(form, form)
    if form == "json":
        return "".join(as_json(dict(row)) + "\n" for row in rows)
    is_table = form == "table" or form.startswith("table ")
    text = form.removeprefix("table").strip() if is_table else form
    try:
        template = Template(text.replace("\\t", "\t").replace("\\n", "\n"))
        said = [template.render(row) for row in rows]
        if not is_table:
            return "".join(f"{line}\n" for line in said)
        known = {**dict.fromkeys(template.fields()), **heads, "Label": lambda name: name.rpartition(".")[2]}
        return tabulated([line.split("\t") for line in [template.render(known), *said]], least=LEAST)
    except TemplateError as error:
        fail(f"template parsing error: template: :1: {error}")


def print_form(
    form: str, rows: Sequence[Mapping[str, Any]], heads: Sequence[str], cells: Sequence[Sequence[str]]
) -> str:
    """`table` or `json`, as `ls` and `images` have them: `rows` are for JSON, `cells` for people."""
    if form == "json":
        return as_json(list(rows)) + "\n"
    if form not in ("table", ""):
        fail(f'format value "{form}" could not be parsed: parsing failed')
    return tabulated([heads, *cells], least=20)
