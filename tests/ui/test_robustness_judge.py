"""The sentences and the table on a judge that is no relative of LPIPS."""

from rlpips.ui.pages import robustness_judge, robustness_tables


def interval(value):
    return value and {"value": value, "low": value - 0.1, "high": value + 0.1}


def part(agreement, clear, lpips):
    return {
        "how": {"judge": "ColorVideoVDP 0.5.7", "mixed": 40}, "clear_triplets": 30,
        "agreement": interval(agreement), "clear": interval(clear), "lpips": interval(lpips),
    }  # fmt: skip


JUDGED = {"lpips": part(0.8, 0.82, None), "rlpips-linf": part(0.85, 0.89, 0.88), "mse": part(0.83, None, 0.79)}


def test_the_sentences_say_what_was_asked_and_what_the_judge_is_fond_of():
    text = robustness_judge.sentences(JUDGED)
    assert "on 40 triplets" in text and "(30 of them)" in text and "LPIPS on 82 % and R-LPIPS l∞ on 89 %" in text
    assert "pixels chooses as it does on 83 %" in text and text.endswith("Neither judge is a person.")
    assert "pixels" not in robustness_judge.sentences({"lpips": JUDGED["lpips"]})


def test_the_table_has_a_row_for_each_judge():
    table = robustness_tables.judge(JUDGED)
    assert table.count("<tr>") == 2 + 3 and "ColorVideoVDP, clear difference" in table
    assert [table.count(text) for text in ("<b>80 %</b>", "<b>89 %</b>", "<td>–</td>")] == [1, 1, 2]
