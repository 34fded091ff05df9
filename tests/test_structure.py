"""The rooms of the package: which room may import which, and what every module promises."""

import ast

import pytest

from rlpips import paths

PACKAGE = paths.ROOT / "rlpips"
# From top to bottom: a room may import the rooms below it. The rooms of one line do not import each other.
FLOORS = (
    {"ui"},
    {"precompute"},
    {"study", "benchmark"},
    {"training"},
    {"evaluate", "quiz", "pairs"},
    {"attacks"},
    {"engine", "classifiers"},
    {"traces", "metrics"},
    {"data"},
    {"zoo"},
    {"norms", "progress"},
    {"paths", "saving", "validation", "device", "parallel"},
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
MODULES = {
    ".".join(path.relative_to(paths.ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def room(module):
    """rlpips.zoo.catalog -> zoo; the package itself has none."""
    return ([*module.split("."), ""])[1]


def imports(module):
    """The modules of the package that a module imports, also within functions."""
    modules = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            while name.startswith("rlpips") and name not in MODULES:
                name = name.rpartition(".")[0]
            modules |= {name} & MODULES.keys()
    return modules - {module}


def test_every_room_has_its_floor_and_there_are_few():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} == FLOOR.keys()
    assert len(FLOOR) <= 22


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module):
    for other in imports(module):
        here, there = room(module), room(other)
        if here and there:  # the package itself imports names lazily, and its version may be read anywhere
            assert here == there or FLOOR[here] < FLOOR[there], f"{module} imports {other}"


def test_no_module_imports_itself_by_a_detour():
    visited, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in visited:
            return
        path.append(module)
        for other in sorted(imports(module) - {"rlpips"}):
            visit(other)
        path.pop()
        visited.add(module)

    for module in MODULES.keys() - {"rlpips"}:
        visit(module)


def test_only_the_page_imports_gradio():
    for module, path in MODULES.items():
        names = {
            (node.module if isinstance(node, ast.ImportFrom) else alias.name) or ""
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        gradio = {name for name in names if name.split(".")[0] in ("gradio", "gradio_client")}
        assert not gradio or room(module) == "ui", f"{module} imports {gradio}"


def untyped(tree):
    """The public functions and methods of a module that lack a type, for an argument or for what they return."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from untyped(node)
        if not isinstance(node, ast.FunctionDef) or (node.name.startswith("_") and node.name != "__init__"):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments = [argument for argument in arguments if argument.arg not in ("self", "cls")]
        if any(argument.annotation is None for argument in arguments) or (
            node.returns is None and node.name != "__init__"
        ):
            yield node.name


@pytest.mark.parametrize("module", MODULES)
def test_public_functions_have_types(module):
    assert list(untyped(ast.parse(MODULES[module].read_text("utf-8")))) == []
