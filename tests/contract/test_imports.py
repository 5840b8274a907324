"""What the package imports is what pyproject.toml asks for."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "operator" / "registry_trust").rglob("*.py"))


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
