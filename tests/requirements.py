"""Says what a test needs of the machine: where it is absent the test is skipped, except where everything must run."""

import os

import pytest


def require(condition: object, reason: str) -> None:
    """Skip the test that calls this, with the reason, unless `condition` holds; fail it if FORECASTLE_TEST_EVERYTHING=1.

    `.ci/run` sets that variable, so that a prerequisite which got lost there is seen.
    """
    if condition:
        return
    if os.environ.get("FORECASTLE_TEST_EVERYTHING") == "1":
        pytest.fail(f"FORECASTLE_TEST_EVERYTHING=1, but {reason}", pytrace=False)
    pytest.skip(reason)
