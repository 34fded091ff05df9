import pytest

from rlpips.pairs.matching import match_one, match_two, read_name, role_of


@pytest.mark.parametrize(
    "name, role, key",
    [
        ("cat.png", "", "cat"),
        ("cat_adv.png", "attacked", "cat"),
        ("cat.orig.png", "clean", "cat"),
        ("Adv-cat.PNG", "attacked", "cat"),
        ("clean/cat.png", "clean", "cat"),
        ("run1/adv/cat.png", "attacked", "run1/cat"),
        ("07/x_adv2.png", "attacked", "07/x"),
        ("img_clean_03.png", "clean", "img 03"),
        ("advent.png", "", "advent"),  # a word, not a part of one
        ("adv_inputs", "attacked", ""),
    ],
)
def test_what_a_name_says(name, role, key):
    said = read_name(name)
    assert (said.role, said.key) == (role, key)


@pytest.mark.parametrize(
    "clean, attacked",
    [
        (["a.png", "b.png"], ["a.png", "b.png"]),
        (["a.png", "b.png"], ["a.jpg", "b.jpg"]),
        (["a.png", "b.png"], ["a_adv.png", "b_adv.png"]),
        (["a.orig.png", "b.orig.png"], ["a.adv.png", "b.adv.png"]),
        (["x/a.png", "x/b.png"], ["y/a_adv.png", "y/b_adv.png"]),  # folders of other names
        (["a.png", "b.png"], ["a_adv_eps8.png", "b_adv_eps8.png"]),
        (["img_clean_1.png", "img_clean_2.png"], ["img_adv_1.png", "img_adv_2.png"]),
    ],
)
def test_two_collections_match_by_name(clean, attacked):
    match = match_two(clean, attacked)
    assert match.pairs == list(zip(clean, attacked)) and not match.problems


def test_one_collection_is_told_apart_by_what_names_say():
    names = ["clean/a.png", "adv/a.png", "b.png", "b_adv.png", "c.orig.png", "c_adv1.png", "c_adv2.png"]
    assert match_one(names).pairs == [
        ("b.png", "b_adv.png"),
        ("c.orig.png", "c_adv1.png"),
        ("c.orig.png", "c_adv2.png"),
        ("clean/a.png", "adv/a.png"),
    ]


def test_what_has_no_partner_is_listed_with_its_reason():
    match = match_two(["a.png", "b.png", "b.jpg"], ["a_adv.png", "b_adv.png", "d_adv.png"])
    assert match.pairs == [("a.png", "a_adv.png")]
    assert "Several originals" in match.problems["b_adv.png"]
    assert "No original" in match.problems["d_adv.png"]
    assert {name for name, reason in match.problems.items() if "No attacked" in reason} == {"b.png", "b.jpg"}


def test_a_single_file_each_is_a_pair_whatever_the_names():
    assert match_two(["x.png"], ["y.png"]).pairs == [("x.png", "y.png")]


def test_a_side_that_calls_itself_attacked_is_found_out():
    assert role_of(["a_adv.png", "adv/b.png"]) == "attacked"
    assert role_of(["a_adv.png", "b.png"]) == ""
