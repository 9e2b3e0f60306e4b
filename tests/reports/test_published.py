from gmr.core.nouns import TASK_TYPES
from gmr.reports.published import published_table


def test_the_published_rows_are_those_of_the_paper_with_their_marks():
    table = published_table()
    assert [row.model.split()[0] for row in table.rows] == [
        "GME-2B",
        "jina-reranker-m0",
        "MonoQwen2-VL-v0.1",
        "GMR-3B",
        "GMR-7B",
    ]
    assert table.rows[-1].values == {"t2t": 61.08, "t2vd": 72.94, "it2it": 82.19, "mean": 63.85}
    assert {row.mark for row in table.rows} | {mark for _, mark in table.notes} <= set(table.marks)


def test_columns_are_task_types_and_the_number_of_their_sets():
    table = published_table()
    assert table.columns == {"t2t": 14, "t2vd": 5, "it2it": 3, "mean": 40}
    assert set(table.columns) - {"mean"} <= set(TASK_TYPES)
    assert all(set(row.values) <= set(table.columns) for row in table.rows)


def test_the_caution_says_that_nothing_can_be_compared():
    assert "cannot be compared" in published_table().caution


def test_the_mean_of_the_sets_without_a_column_is_what_the_others_leave():
    # the 18 sets whose columns are not public must lie in a possible range, or a number is wrong
    for row in published_table().rows:
        known = sum(row.values[label] * num for label, num in {"t2t": 14, "t2vd": 5, "it2it": 3}.items())
        assert 30 < (40 * row.values["mean"] - known) / 18 < 65
