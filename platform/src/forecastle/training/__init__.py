"""Training: load the data, divide it in time order, fit, measure, fit again, register. Once, for every plugin."""
