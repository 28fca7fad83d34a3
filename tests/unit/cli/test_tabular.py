"""Tables as Go's text/tabwriter writes them."""

import pytest

from coracle.cli.tabular import tabulated


@pytest.mark.parametrize(
    ("rows", "least", "said"),
    [
        ([], 10, ""),
        ([["one"]], 10, "one\n"),
        ([["A", "B"], ["x" * 9, "y"]], 10, "A           B\nxxxxxxxxx   y\n"),
        ([["A", "B"], ["x", "y"]], 10, "A         B\nx         y\n"),
        ([["A", "B"], ["x", ""]], 5, "A    B\nx    \n"),
        ([["A", "B"], ["x", "y", ""]], 5, "A    B\nx    y    \n"),
    ],
)
def test_columns(rows, least, said):
    assert tabulated(rows, least=least) == said
