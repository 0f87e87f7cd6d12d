"""Discovery through real entry points of real distributions, and what stays readable when a plugin is gone."""

import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import flask
import pytest

from forecastle.errors import DuplicatePlugin, PluginUnavailable
from forecastle.plugins import GROUP, Catalogue, discover
from forecastle_registry.versions import Registered
from tests.naive import EXOG_OF_THREE
from tests.problems import problem_of

GOOD = """
from forecastle_sdk.naive import NaivePlugin

class {title}(NaivePlugin):
    name = "{name}"
    title = "{title}"
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution with plugins into a folder of `sys.path`, as pip does: its modules, metadata and entry points."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    known = set(sys.modules)

    def put(distribution: str, entry_points: dict[str, str], version: str = "1.0", **modules: str) -> None:
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = [f"{name} = {target}" for name, target in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))

    yield put
    for name in set(sys.modules) - known:
        if getattr(sys.modules[name], "__file__", None) and str(site) in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.fixture
def found(tmp_path: Path) -> Callable[[], Catalogue]:
    """Discover what was installed in that folder, and nothing of the environment that runs the tests."""

    def run() -> Catalogue:
        distributions = metadata.distributions(path=[str(tmp_path / "site")])
        return discover(entry for each in distributions for entry in each.entry_points if entry.group == GROUP)

    return run


def test_plugins_are_found_by_their_entry_points_and_sorted(install: Install, found: Callable[[], Catalogue]) -> None:
    install("zoo", {"zebra": "zoo_zebra:Zebra"}, zoo_zebra=GOOD.format(name="zebra", title="Zebra"))
    install("farm", {"ant": "farm_ant:Ant"}, "2.5", farm_ant=GOOD.format(name="ant", title="Ant"))
    catalogue = found()
    assert [(p.name, p.distribution, p.version, p.usable) for p in catalogue] == [
        ("ant", "farm", "2.5", True),
        ("zebra", "zoo", "1.0", True),
    ]
    assert catalogue.usable("ant").title == "Ant"


def test_discovery_looks_at_the_entry_points_that_are_installed(install: Install) -> None:
    install("zoo", {"zebra": "zoo_zebra:Zebra"}, zoo_zebra=GOOD.format(name="zebra", title="Zebra"))
    names = [plugin.name for plugin in discover()]
    assert "zebra" in names
    assert names == sorted(names)


BROKEN = {
    "raising": ("raise RuntimeError('no licence on this machine')", "Any", "RuntimeError: no licence on this machine"),
    "leaving": ("raise SystemExit(3)", "Any", "SystemExit: 3"),
    "incomplete": ("import a_library_that_is_not_here", "Any", "No module named 'a_library_that_is_not_here'"),
    "misspelt": ("x = 1 +", "Any", "SyntaxError"),
    "nameless": ("", "Any", "AttributeError"),
    "older": ("class Any:\n    contract = 0", "Any", "contract 0, this platform follows contract 1"),
    "foreign": ("class Any: pass", "Any", "contract None"),
    "function": ("def Any(): pass\nAny.contract = 1", "Any", "expected a subclass"),
    "instance": (GOOD.format(name="instance", title="Any") + "\nany_ = Any()", "any_", "expected a subclass"),
    "alias": (GOOD.format(name="other", title="Any"), "Any", "calls itself 'other'"),
    "failing": (GOOD.format(name="failing", title="Any") + "    def __init__(self): 1 / 0", "Any", "ZeroDivisionError"),
    "abstract": ("from forecastle_sdk import Plugin\nclass Any(Plugin):\n    name = 'abstract'", "Any", "abstract"),
}


def test_a_plugin_that_cannot_be_used_is_listed_with_its_reason_and_takes_nothing_down(
    install: Install, found: Callable[[], Catalogue], serve: Callable[..., flask.Flask]
) -> None:
    install("zoo", {"zebra": "zoo_zebra:Zebra"}, zoo_zebra=GOOD.format(name="zebra", title="Zebra"))
    for name, (source, attribute, _) in BROKEN.items():
        install(f"broken-{name}", {name: f"broken_{name}:{attribute}"}, **{f"broken_{name}": source})
    catalogue = found()
    assert [plugin.name for plugin in catalogue] == sorted([*BROKEN, "zebra"])
    client = serve(plugins=catalogue).test_client()
    listed = {plugin["name"]: plugin for plugin in client.get("/plugins").get_json()["items"]}
    for name, (_, _, reason) in BROKEN.items():
        assert (listed[name]["usable"], listed[name]["distribution"]) == (False, f"broken-{name}")
        assert reason in listed[name]["problem"], listed[name]["problem"]
        assert client.get(f"/plugins/{name}").get_json() == listed[name]
        with pytest.raises(PluginUnavailable, match=name):
            catalogue.usable(name)
    assert (listed["zebra"]["usable"], listed["zebra"]["problem"]) == (True, None)
    assert "drift" in listed["zebra"]["parameters"]["properties"]


def test_two_plugins_of_one_name_stop_the_start_and_both_distributions_are_named(
    install: Install, found: Callable[[], Catalogue]
) -> None:
    install("zoo", {"zebra": "zoo_zebra:Zebra"}, zoo_zebra=GOOD.format(name="zebra", title="Zebra"))
    install("circus", {"zebra": "circus_zebra:Zebra"}, circus_zebra=GOOD.format(name="zebra", title="Zebra"))
    with pytest.raises(DuplicatePlugin, match=r"'zebra': circus and zoo; uninstall one"):
        found()


def test_one_distribution_that_is_found_twice_is_one(install: Install, found: Callable[[], Catalogue], tmp_path: Path) -> None:
    install("zoo", {"zebra": "zoo_zebra:Zebra"}, zoo_zebra=GOOD.format(name="zebra", title="Zebra"))
    entries = [e for d in metadata.distributions(path=[str(tmp_path / "site")] * 2) for e in d.entry_points]
    assert [plugin.name for plugin in discover(entries)] == ["zebra"]


def test_a_model_whose_plugin_is_gone_keeps_its_readable_history(
    registered_model: Registered, serve: Callable[..., flask.Flask]
) -> None:
    client = serve(plugins=Catalogue([])).test_client()
    assert client.get("/plugins").get_json() == {"items": [], "next": None}
    assert [model["name"] for model in client.get("/models").get_json()["items"]] == ["sales"]
    for address in ("", "/versions", "/versions/1", "/docs", "/openapi.json", "/exog-template"):
        answer = client.get(f"/models/sales{address}")
        assert answer.status_code == 200, f"{address}: {answer.text}"
    assert client.get("/models/sales/versions/1").get_json()["signature"]["endog"] == ["sales", "returns"]
    assert client.get("/health/ready").status_code == 200
    assert client.get("/openapi.json").status_code == 200


def test_a_model_whose_plugin_is_gone_answers_forecasts_with_plugin_unavailable(
    registered_model: Registered, serve: Callable[..., flask.Flask]
) -> None:
    client = serve(plugins=Catalogue([])).test_client()
    asked = {"exog": EXOG_OF_THREE}
    rows = {"endog": {"sales": [1], "returns": [1]}, "exog": {"price": [9], "promo": [0]}}
    answers = [
        client.post("/models/sales/forecast", json=asked),
        client.post("/models/sales/versions/1/forecast", json=asked),
        client.get("/models/sales/forecast?price=9&promo=0"),
        client.post("/models/sales/observations", json=rows),
    ]
    for answer in answers:
        document = problem_of(answer, 503, "plugin-unavailable")
        assert "'naive' is not installed" in document["detail"]


def test_a_model_whose_plugin_fails_to_import_names_the_reason(
    registered_model: Registered, install: Install, found: Callable[[], Catalogue], serve: Callable[..., flask.Flask]
) -> None:
    install("broken", {"naive": "broken_naive:Naive"}, broken_naive="raise RuntimeError('no licence')")
    client = serve(plugins=found()).test_client()
    document = problem_of(client.post("/models/sales/forecast", json={"exog": EXOG_OF_THREE}), 503, "plugin-unavailable")
    assert "no licence" in document["detail"]
    assert "broken" in document["detail"]
