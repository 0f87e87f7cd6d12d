"""The two bare Flask routes that benchmarks/serving.py compares the platform with: `bare.py results|state PORT THREADS`."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import flask
import waitress

HOME = Path(os.environ["FORECASTLE_HOME"])


def on_results() -> flask.Flask:
    """Unpickle the results object once; ask it for each request, as one does."""
    import pandas as pd

    results = pickle.loads((HOME / "results.pickle").read_bytes())  # noqa: S301  the benchmark has just written it
    app = flask.Flask("results")

    @app.post("/forecast")
    def forecast() -> Any:
        body = flask.request.get_json()
        exog = pd.DataFrame(body["exog"])
        prediction = results.get_forecast(body["horizon"], exog=exog)
        mean, bounds = prediction.predicted_mean, prediction.conf_int(alpha=0.05)
        names = list(mean.columns)
        return {
            "mean": {name: mean[name].tolist() for name in names},
            "intervals": [
                {
                    "level": 95,
                    "lower": {name: bounds[f"lower {name}"].tolist() for name in names},
                    "upper": {name: bounds[f"upper {name}"].tolist() for name in names},
                }
            ],
        }

    return app


def on_state() -> flask.Flask:
    """Forecast from the state by the same recursion as the platform, and do nothing else."""
    import numpy as np

    from forecastle.cli.installation import Installation

    forecaster = Installation.here().forecasting.choose("us-macro").forecaster
    app = flask.Flask("state")

    @app.post("/forecast")
    def forecast() -> Any:
        body = flask.request.get_json()
        exog = np.array([body["exog"][name] for name in forecaster.signature.exog_names]).T
        answer = forecaster.forecast(body["horizon"], exog=exog, quantiles=(0.025, 0.975))
        names = forecaster.signature.endog
        return {
            "mean": dict(zip(names, answer.mean.T.tolist(), strict=True)),
            "intervals": [
                {
                    "level": 95,
                    "lower": dict(zip(names, answer.quantiles[0].T.tolist(), strict=True)),
                    "upper": dict(zip(names, answer.quantiles[1].T.tolist(), strict=True)),
                }
            ],
        }

    return app


if __name__ == "__main__":
    kind, port, threads = sys.argv[1:]
    app = on_results() if kind == "results" else on_state()
    waitress.serve(app, host="127.0.0.1", port=int(port), threads=int(threads))
