"""Runs the fits of a training on the machine's cores, by joblib's loky processes, and reports how far they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeVar

import joblib

from forecastle_sdk import Context

Item = TypeVar("Item")
Result = TypeVar("Result")
Report = Callable[[int, int, str], None]


def _end(results: Generator[Result, None, None]) -> None:
    """End what still runs, as after an error or Ctrl-C; joblib would warn of it, which tells a person nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        results.close()


class LokyContext(Context):
    """A context that spreads items over processes, each with one thread, so that they do not fight for the cores."""

    def __init__(self, seed: int, report: Report) -> None:
        super().__init__(seed)
        self._report = report

    def progress(self, done: int, total: int, what: str) -> None:
        """Pass the progress on."""
        self._report(done, total, what)

    def run(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield results as they finish; a single item, or a single core, needs no process."""
        work = list(items)
        workers = min(joblib.cpu_count(), len(work))
        if workers < 2:
            yield from super().run(function, work)
            return
        with joblib.parallel_config(backend="loky", n_jobs=workers, inner_max_num_threads=1):
            results = joblib.Parallel(return_as="generator_unordered", pre_dispatch="n_jobs", batch_size=1)(
                joblib.delayed(function)(item) for item in work
            )
        try:
            for result in results:
                self.check_cancelled()
                yield result
        finally:
            _end(results)
