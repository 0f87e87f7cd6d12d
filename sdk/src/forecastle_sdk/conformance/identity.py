"""Rules on what a plugin says of itself, before anything is fitted."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import lru_cache

import marshmallow
import pytest

from ..plugin import CONTRACT, Capability, Plugin
from .case import Case

SCIENCE = (
    "catboost", "dask", "jax", "lightgbm", "matplotlib", "numba", "pandas", "polars", "pyarrow", "scipy", "skforecast",
    "sklearn", "skops", "statsforecast", "statsmodels", "tensorflow", "torch", "xgboost",
)  # fmt: skip
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class IdentityRules:
    """What the platform lists, and what it may import without cost."""

    def test_it_is_a_plugin_of_this_contract(self, case: Case) -> None:
        is_plugin = isinstance(case.plugin, type) and issubclass(case.plugin, Plugin)
        assert is_plugin, f"Case.plugin is {case.plugin!r}; expected a subclass of Plugin, the class itself"
        assert case.plugin.contract == CONTRACT, f"contract is {case.plugin.contract}; this kit checks contract {CONTRACT}"
        case.plugin()

    def test_its_name_fits_an_address_and_a_command_line(self, case: Case) -> None:
        assert NAME.fullmatch(case.plugin.name), f"name is {case.plugin.name!r}; use small letters, digits and single hyphens"

    @pytest.mark.parametrize("attribute", ["title", "description"])
    def test_it_describes_itself_to_people(self, case: Case, attribute: str) -> None:
        text = getattr(case.plugin, attribute, None)
        said = isinstance(text, str) and bool(text.strip())
        assert said, f"{attribute} is {text!r}; write what a person should read in a list"

    def test_it_declares_capabilities_that_exist(self, case: Case) -> None:
        declared = case.plugin.capabilities
        known = isinstance(declared, frozenset) and all(isinstance(capability, Capability) for capability in declared)
        assert known, f"capabilities is {declared!r}; make it a frozenset of Capability"

    def test_its_trusted_types_and_state_format_can_be_stored(self, case: Case) -> None:
        trusted, form = case.plugin.trusted_types, case.plugin.state_format
        named = isinstance(trusted, tuple) and all(isinstance(name, str) and "." in name for name in trusted)
        assert named, f"trusted_types is {trusted!r}; make it a tuple of full names such as 'package.module.Class'"
        counted = type(form) is int and form >= 1
        assert counted, f"state_format is {form!r}; count from 1"

    def test_its_parameters_are_a_schema(self, case: Case) -> None:
        schema = case.plugin.parameters
        is_schema = isinstance(schema, type) and issubclass(schema, marshmallow.Schema)
        assert is_schema, f"parameters is {schema!r}; make it a subclass of marshmallow.Schema"

    def test_importing_its_module_loads_no_science_library(self, case: Case) -> None:
        loaded = science_loaded_by(case.plugin.__module__)
        assert not loaded, f"importing {case.plugin.__module__} loads {', '.join(loaded)}; import them inside fit"


@lru_cache(maxsize=16)
def science_loaded_by(module: str) -> list[str]:
    """Return the science libraries that a fresh interpreter has loaded after importing a module, sorted."""
    code = (
        "import importlib, json, sys\n"
        f"sys.path[:] = json.loads({json.dumps(json.dumps(sys.path))})\n"
        f"importlib.import_module({module!r})\n"
        f"print(json.dumps(sorted(set(sys.modules) & {set(SCIENCE)!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.fail(f"a fresh interpreter cannot import {module}:\n{done.stderr}")
    return list(json.loads(done.stdout))
