"""Fuzzes the strict reader for as long as it is told: `python -m registry.tests.fuzz --seconds 600`, from the checkout.

With atheris (`pip install atheris`) the way through the reader guides it; without, the numbers are random, from a seed that it
prints. The process may take `--megabytes` more than it has after its first read; an input that takes more, or longer than
`--patience` seconds, or raises what is not ours, is written to a file and ends the run.
"""

import argparse
import random
import resource
import sys
import time
from pathlib import Path

CAP = 2**22


def check(data: bytes, patience: float = 2.0) -> bool:
    """Read bytes: plain data, which writes and reads again as itself, or a refusal, in time. Return whether it was data."""
    from forecastle_registry.canonical import state_digest
    from forecastle_registry.errors import ArtifactRefused
    from forecastle_registry.skops_format import read, write

    start = time.process_time()
    try:
        state = read(data, CAP)
        digest = state_digest(state, {}, max_bytes=4 * CAP)
    except ArtifactRefused:
        return False
    finally:
        assert time.process_time() - start < patience, f"{time.process_time() - start:.1f} s"
    assert state_digest(read(write(state), 4 * CAP), {}) == digest
    return True


def limit(megabytes: int) -> None:
    """Let this process have so much more memory than it has."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20,) * 2)


def run_random(seconds: float, patience: float, seed: int) -> tuple[int, int]:
    """Fuzz with random numbers; return how many artifacts were tried, and how many were data."""
    from registry.tests.mutations import mutated

    rng, end, tried, plain = random.Random(seed), time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        data = mutated(rng.randrange)
        try:
            plain += check(data, patience)
        except BaseException:
            path = Path(f"hostile-{seed}-{tried}.skops")
            path.write_bytes(data)
            print(f"seed {seed}, input {tried}: see {path}", file=sys.stderr)
            raise
        tried += 1
    return tried, plain


def run_guided(seconds: float, patience: float) -> None:
    """Fuzz with atheris, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["forecastle_registry", "zipfile", "json"]):
        import forecastle_registry.skops_format  # noqa: F401  is instrumented as it is imported
    from registry.tests.mutations import mutated

    def one(data: bytes) -> None:
        numbers = atheris.FuzzedDataProvider(data)
        check(data if data.startswith(b"PK") else mutated(lambda n: numbers.ConsumeIntInRange(0, n - 1)), patience)

    atheris.Setup([sys.argv[0], f"-max_total_time={seconds:.0f}", "-max_len=4096", "-rss_limit_mb=0"], one)
    atheris.Fuzz()


def main() -> None:
    """Read the arguments, and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--patience", type=float, default=2, help="seconds that one input may take")
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--guided", action="store_true", help="use atheris")
    asked = parser.parse_args()
    if asked.guided:
        run_guided(asked.seconds, asked.patience)
        return
    from registry.tests.mutations import BASES
    from registry.tests.zips import stored, zip_of

    assert check(zip_of([stored(*member) for member in BASES[0].items()]))
    limit(asked.megabytes)
    tried, plain = run_random(asked.seconds, asked.patience, asked.seed)
    print(f"{tried:,} artifacts, of which {plain:,} were data; seed {asked.seed}")


if __name__ == "__main__":
    main()
