import ast
from pathlib import Path

import pytest

import rlpips


def test_type_checkers_see_the_names_that_are_imported_on_first_use():
    nodes = ast.walk(ast.parse(Path(rlpips.__file__).read_text("utf-8")))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module.startswith("rlpips.")]
    seen = {alias.asname: node.module.removeprefix("rlpips.") for node in imports for alias in node.names}
    assert seen == rlpips._HOME


@pytest.mark.parametrize("name", rlpips.__all__)
def test_public_names_can_be_imported(name):
    assert name in dir(rlpips) and getattr(rlpips, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'rlpips' has no attribute 'lpisp'"):
        rlpips.lpisp  # noqa: B018
