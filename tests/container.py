"""Builds and runs docker/compose.yaml under a name of its own, on a free port, on whatever engine there is.

An engine without networks of its own (FORECASTLE_TEST_LAB names the folder of one, with a `containers` command) needs the
host's network to build and to run; an override file says so, and the project's own files stay as people use them.
"""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.asking import is_live
from tests.ports import free_port
from tests.requirements import require

ROOT = Path(__file__).resolve().parents[1]
# the first start trains the example model; a second one must not
SECONDS_TO_TRAIN = 600
SECONDS_TO_BUILD = 900

# `!reset` and `!override` replace what compose would otherwise add to
HOST_NETWORK = """\
services:
  web:
    image: forecastle:test
    network_mode: host
    ports: !reset []
    environment: {{HTTPD_PORT: "{port}"}}
"""
PUBLISHED = """\
services:
  web:
    image: forecastle:test
    ports: !override ["127.0.0.1:{port}:8080"]
"""


@dataclass(frozen=True)
class Service:
    """The service `web` of docker/compose.yaml: its address, and the command line and environment that steer it."""

    url: str
    compose: tuple[str, ...]
    environment: dict[str, str]

    def run(self, *arguments: str) -> str:
        """Run `docker compose ARGUMENTS`, which must succeed, and return what it prints."""
        done = subprocess.run(
            [*self.compose, *arguments], env=self.environment, capture_output=True, text=True, timeout=SECONDS_TO_BUILD
        )
        assert done.returncode == 0, f"{shlex.join(done.args)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def wait_until_live(self, seconds: float) -> None:
        """Return once the service answers; raise TimeoutError with its log after so many seconds."""
        deadline = time.monotonic() + seconds
        while not is_live(self.url):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not live after {seconds} s:\n{self.run('logs', '--tail', '40')}")
            time.sleep(0.5)


def engine_environment() -> dict[str, str]:
    """Return the environment in which docker reaches an engine; skip, or fail, where there is none."""
    require(shutil.which("docker"), "docker is not installed")
    environment = dict(os.environ)
    lab = os.environ.get("FORECASTLE_TEST_LAB")
    if lab:
        exports = subprocess.run([f"{lab}/containers", "env"], capture_output=True, text=True, check=True).stdout
        environment |= dict(word.split("=", 1) for word in shlex.split(exports) if "=" in word)
    reached = subprocess.run(["docker", "compose", "ls"], env=environment, capture_output=True, text=True)
    require(reached.returncode == 0, f"no container engine answers: {reached.stderr.strip()}")
    return environment


@contextmanager
def composed(directory: Path) -> Iterator[Service]:
    """Build the image and start the service; at the end remove its containers and its volume, but not the image.

    `directory` holds the override file.
    """
    environment = engine_environment()
    lab = os.environ.get("FORECASTLE_TEST_LAB")
    port = free_port()
    override = directory / "override.yaml"
    override.write_text((HOST_NETWORK if lab else PUBLISHED).format(port=port))
    files = ("-p", f"forecastle-test-{os.getpid()}", "-f", str(ROOT / "docker/compose.yaml"), "-f", str(override))
    service = Service(f"http://127.0.0.1:{port}", ("docker", "compose", *files), environment)
    build = [f"{lab}/containers", "build", *files] if lab else [*service.compose, "build"]
    built = subprocess.run(build, env=environment, capture_output=True, text=True, timeout=SECONDS_TO_BUILD)
    assert built.returncode == 0, f"{shlex.join(build)}\n{built.stdout[-2000:]}\n{built.stderr[-4000:]}"
    try:
        service.run("up", "--detach", "--no-build")
        yield service
    finally:
        service.run("down", "--volumes", "--timeout", "20")
