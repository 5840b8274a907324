"""What the package imports is what pyproject.toml asks for, and a class's name means one thing."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "operator" / "registry_trust").rglob("*.py"))


def test_no_two_classes_of_the_product_have_one_name():
    names: dict[str, list[str]] = {}
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ClassDef):
                names.setdefault(node.name.lstrip("_"), []).append(str(module.relative_to(ROOT)))

    assert {name: places for name, places in names.items() if len(places) > 1} == {}


def test_every_library_that_the_package_imports_is_a_requirement_of_its_own():
    parts = {"pydantic_core": "pydantic", "yaml": "PyYAML"}  # Pydantic names one version of its core alone.
    imported = {
        name.split(".")[0]
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    libraries = imported - sys.stdlib_module_names - {"registry_trust"}
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]

    assert {parts.get(name, name).replace("_", "-") for name in libraries} == {
        re.split(r"[<>=!~ ]", requirement)[0] for requirement in asked
    }
