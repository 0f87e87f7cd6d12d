"""What docker/ says must agree with what the rest of the repository says; none of this needs a container engine."""

import re
import shlex

from tests.apache import DOCKER

ROOT = DOCKER.parent


def words_after(start: str, text: str) -> list[str]:
    """Return the words of the shell command that begins with `start`, over continued lines and up to a lone `&`."""
    command = text[text.index(start) :].replace("\\\n", " ").split("\n", 1)[0]
    return shlex.split(command.removesuffix("&"))[len(start.split()) :]


def test_the_container_trains_the_model_that_make_serve_trains() -> None:
    makefile = words_after("US_MACRO :=", (ROOT / "Makefile").read_text())
    assert words_after("forecastle train", (DOCKER / "entrypoint").read_text()) == [*makefile, "--promote"]


def test_the_image_holds_the_distributions_that_make_installs() -> None:
    makefile = words_after("DISTRIBUTIONS :=", (ROOT / "Makefile").read_text())
    wheels = words_after("/opt/forecastle/bin/pip wheel", (DOCKER / "Dockerfile").read_text())
    assert sorted(re.sub("^[.]/", "", word) for word in wheels if word.startswith("./")) == sorted(makefile)
