"""Writes sales.csv: 96 months of made-up sales with a trend, a season and an effect of the price; seeded."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np


def main() -> None:
    """Write the file beside this one."""
    random = np.random.default_rng(2026)
    months = np.arange(96)
    price = np.round(4.5 + 0.4 * np.sin(months / 9) + random.normal(0, 0.08, 96), 2)
    season = 18 * np.sin(2 * np.pi * (months - 8) / 12)
    sold = np.round(220 + 0.6 * months + season - 22 * (price - 4.5) + random.normal(0, 5, 96)).astype(int)
    with (Path(__file__).parent / "sales.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["month", "sold", "price"])
        writer.writerows(
            (f"{2018 + m // 12}-{m % 12 + 1:02d}", int(s), float(p)) for m, s, p in zip(months, sold, price, strict=True)
        )


if __name__ == "__main__":
    main()
