"""Starts Debian's Apache with docker/httpd.conf on a free port, in the virtual environment that runs the tests.

1. `require_apache` says what is missing here.
2. `prepare_directory` makes a directory that Apache's user, too, can enter and write.
3. `serving` starts Apache there, waits until it answers, and stops it.
"""

import contextlib
import grp
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.asking import is_live
from tests.ports import free_port
from tests.requirements import require

DOCKER = Path(__file__).resolve().parents[1] / "docker"
APACHE = "/usr/sbin/apache2"
MODULES = Path("/usr/lib/apache2/modules")
SECONDS_TO_START = 60
SECONDS_TO_STOP = 20


@dataclass(frozen=True)
class Apache:
    """A running Apache: its address, the process that was started, the log of errors, and its virtual environment."""

    url: str
    process: subprocess.Popen[bytes]
    error_log: Path
    python_home: Path


def require_apache() -> None:
    """Skip, or fail, where Apache cannot run the Python of these tests: see `tests.requirements.require`."""
    require(Path(APACHE).exists(), "Debian's apache2 is not installed")
    require((MODULES / "mod_wsgi.so").exists(), "Debian's libapache2-mod-wsgi-py3 is not installed")
    require(
        sys.base_prefix == "/usr",
        f"mod_wsgi is linked with /usr/bin/python3, and these tests run on the Python in {sys.base_prefix}",
    )


def serving_user() -> pwd.struct_passwd:
    """Return the user as whom Apache serves: whoever runs the tests, or Debian's www-data for root."""
    return pwd.getpwnam("www-data") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


@contextmanager
def prepare_directory() -> Iterator[Path]:
    """Make a directory that the serving user can reach; pytest's own `tmp_path` is closed to everybody but its owner."""
    with tempfile.TemporaryDirectory(prefix="forecastle-apache-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


@contextmanager
def serving(directory: Path, environment: Mapping[str, str], *, app: Path = DOCKER) -> Iterator[Apache]:
    """Run Apache with everything it writes below `directory`, and `environment` on top of the tests' own.

    `app` holds the forecastle.wsgi to serve. `directory` and all in it is handed to the serving user.
    """
    port = free_port()
    run = directory / "run"
    run.mkdir()
    _hand_over(directory)
    python_home, app = _reachable(Path(sys.prefix), directory / "venv"), _reachable(app, directory / "app")
    settings = {**os.environ, **environment, **_httpd_settings(run, app, port, python_home)}
    command = [APACHE, "-f", str(DOCKER / "httpd.conf"), "-DFOREGROUND"]
    process = subprocess.Popen(command, env=settings, start_new_session=True)
    apache = Apache(f"http://127.0.0.1:{port}", process, run / "error.log", python_home)
    try:
        _wait_until_it_answers(apache)
        yield apache
        stop(apache)
    finally:
        _kill_what_is_left(apache)


def stop(apache: Apache) -> None:
    """Stop Apache as a container engine does, and wait until it has ended; a stopped one stays stopped."""
    if apache.process.poll() is None:
        apache.process.send_signal(signal.SIGWINCH)
    apache.process.wait(SECONDS_TO_STOP)


def processes_of(apache: Apache) -> list[int]:
    """List the processes that hold this Apache's error log open: itself, its children, the daemon processes."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _holds(entry, apache)]


def _holds(process: Path, apache: Apache) -> bool:
    try:
        return any(link.readlink() == apache.error_log for link in (process / "fd").iterdir())
    except OSError:  # ended meanwhile, or somebody else's
        return False


def _may_read(folder: Path) -> bool:
    user = serving_user()
    looking = ["/usr/bin/test", "-r", str(folder), "-a", "-x", str(folder)]
    return subprocess.run(looking, user=user.pw_uid, group=user.pw_gid).returncode == 0


def _hand_over(directory: Path) -> None:
    if os.geteuid() != 0:
        return
    user = serving_user()
    for path in [directory, *directory.rglob("*")]:
        shutil.chown(path, user.pw_uid, user.pw_gid)


def _reachable(folder: Path, copy: Path) -> Path:
    """Return a folder that the serving user can read: `folder`, or a `copy` of it where that lies below a closed one."""
    if os.geteuid() != 0 or _may_read(folder):
        return folder
    shutil.copytree(folder, copy, symlinks=True, copy_function=_linked)
    copy.chmod(0o755)
    return copy


def _linked(source: str, target: str) -> str:
    """Copy a file, without its bytes where both are on one file system."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
    return target


def _httpd_settings(run: Path, app: Path, port: int, python_home: Path) -> dict[str, str]:
    user = serving_user()
    return {
        "HTTPD_PORT": str(port),
        "HTTPD_RUN": str(run),
        "HTTPD_APP": str(app),
        "HTTPD_PYTHON_HOME": str(python_home),
        "HTTPD_PROCESSES": "2",
        "HTTPD_THREADS": "4",
        "HTTPD_USER": user.pw_name,
        "HTTPD_GROUP": grp.getgrgid(user.pw_gid).gr_name,
        "HTTPD_ERROR_LOG": str(run / "error.log"),
        "HTTPD_ACCESS_LOG": str(run / "access.log"),
    }


def _wait_until_it_answers(apache: Apache) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    try:
        while not is_live(apache.url):
            if apache.process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"exit status {apache.process.returncode}")
            time.sleep(0.1)
    except OSError as error:  # the TimeoutError above, or an answer that says the application did not load
        log = apache.error_log.read_text() if apache.error_log.exists() else "no log was written"
        raise RuntimeError(f"Apache serves nothing: {error}\n{log[-4000:]}") from error


def _kill_what_is_left(apache: Apache) -> None:
    apache.process.kill()  # first, since it starts a new process for each that ends
    apache.process.wait()
    for pid in processes_of(apache):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
