"""Serving: from a request's plain values to a forecast, without a file, a pickle, pandas or statsmodels on the way."""
