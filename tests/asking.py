"""Asks a server that runs elsewhere, in another process or a container, as a client would: with JSON over HTTP."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any


def is_live(url: str) -> bool:
    """Tell whether the Forecastle at `url` answers yet. Raises HTTPError where something answers, but not that it is well."""
    try:
        with urllib.request.urlopen(f"{url}/health/live", timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        raise
    except OSError:  # refused as yet
        return False


def ask(url: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
    """Return the JSON that `url` answers: to GET, or to POST where there is a body. Raises HTTPError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def forecast_at_last_values(url: str, model: str, horizon: int) -> Any:
    """Ask for a forecast with each exogenous column held at its last value, as the model's first version states it."""
    signature = ask(f"{url}/models/{model}/versions/1")["signature"]
    exog = {column["name"]: [column["last"]] * horizon for column in signature["exog"]}
    return ask(f"{url}/models/{model}/forecast", {"horizon": horizon, "exog": exog} if exog else {"horizon": horizon})
