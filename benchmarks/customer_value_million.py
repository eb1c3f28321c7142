"""A million customers, daily: fit, score, intervals; and the same fit by lifetimes and pymc-marketing.

    python benchmarks/customer_value_million.py                      # ours, in the project's venv
    python benchmarks/customer_value_million.py --reference VENV     # and, in a venv with lifetimes and pymc-marketing, theirs

Customers are BG/NBD and Gamma-Gamma with known parameters, two years of days. Every library fits both models and scores p_alive,
expected orders and value at 12, 24 and 36 months. Prints one JSON line per library: seconds, peak memory, parameters found.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HORIZONS = [months * 365.25 / 12 for months in (12, 24, 36)]


def make(customers: int, path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.support.customer_worlds import live, spend

    rng = np.random.default_rng(1)
    age = 730 - np.floor(rng.uniform(0, 1, customers) ** 2 * 730)
    world = live("bg_nbd", (0.85, 34.0, 0.9, 5.5), age, 0, rng, daily=True)
    monetary, _ = spend(world.frequency, (5.0, 4.2, 42.0), rng)
    np.savez(path, x=world.frequency, t=world.recency, age=age, m=monetary)


def ours(x, t, age, m):
    from orchestration.customer_value import BG_NBD, GAMMA_GAMMA, Cells, Summary, predict

    started = time.perf_counter()
    cells = Cells.of(x, t, age)
    fit, spend = BG_NBD.fit(cells), GAMMA_GAMMA.fit(x, m)
    fitted = time.perf_counter()
    customers = Summary(np.arange(len(x)), x, t, age, m)
    predict(BG_NBD, fit, spend, customers, (12, 24, 36), 0.1, 1.0, cells, intervals=False)
    scored = time.perf_counter()
    predict(BG_NBD, fit, spend, customers, (12, 24, 36), 0.1, 1.0, cells)
    intervals = time.perf_counter() - scored
    return {
        "fit": fitted - started,
        "fit_and_score": scored - started,
        "fit_score_and_intervals": fitted - started + intervals,
        "parameters": {**fit.parameters, **spend.parameters},
    }


def lifetimes(x, t, age, m):
    from lifetimes import BetaGeoFitter, GammaGammaFitter

    started = time.perf_counter()
    orders, spend = BetaGeoFitter(), GammaGammaFitter()
    orders.fit(x, t, age)
    spend.fit(x[x > 0], m[x > 0])
    fitted = time.perf_counter()
    orders.conditional_probability_alive(x, t, age)
    worth = spend.conditional_expected_average_profit(x, m)
    for horizon in HORIZONS:
        worth * orders.conditional_expected_number_of_purchases_up_to_time(horizon, x, t, age)
    scored = time.perf_counter()
    parameters = {**orders.params_.to_dict(), **spend.params_.to_dict()}
    return {"fit": fitted - started, "fit_and_score": scored - started, "parameters": parameters}


def pymc_marketing(x, t, age, m):
    import pandas as pd
    from pymc_marketing.clv import BetaGeoModel, GammaGammaModel

    data = pd.DataFrame({"customer_id": np.arange(len(x)), "frequency": x, "recency": t, "T": age, "monetary_value": m})
    started = time.perf_counter()
    orders = BetaGeoModel(data.drop(columns="monetary_value"))
    orders.fit(method="map", progressbar=False)
    again = data[data["frequency"] > 0][["customer_id", "frequency", "monetary_value"]]
    spend = GammaGammaModel(again)
    spend.fit(method="map", progressbar=False)
    fitted = time.perf_counter()
    orders.expected_probability_alive(data)
    spend.expected_customer_spend(again)
    for horizon in HORIZONS:
        orders.expected_purchases(data, future_t=horizon)
    scored = time.perf_counter()
    found = {n: float(orders.idata.posterior[n].mean()) for n in ("r", "alpha", "a", "b")}
    found |= {n: float(spend.idata.posterior[n].mean()) for n in ("p", "q", "v")}
    return {"fit": fitted - started, "fit_and_score": scored - started, "parameters": found}


RUNS = {"ours": ours, "lifetimes": lifetimes, "pymc_marketing": pymc_marketing}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--reference", type=Path, help="a venv with lifetimes and pymc-marketing")
    parser.add_argument("--libraries", nargs="*", default=list(RUNS), choices=list(RUNS))
    parser.add_argument("--run", nargs=2, metavar=("LIBRARY", "FILE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        name, path = given.run
        data = np.load(path)
        columns = [data[c] for c in ("x", "t", "age", "m")]
        if name == "ours":
            # the import is no part of the fit, as it is none of theirs
            import scipy.special  # noqa: F401
            import threadpoolctl  # noqa: F401
        found = {k: round(v, 2) if isinstance(v, float) else v for k, v in RUNS[name](*columns).items()}
        found["peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
        print(json.dumps({"library": name, "customers": len(columns[0]), **found}))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "customers.npz"
        make(given.customers, path)
        for name in given.libraries:
            python = sys.executable if name == "ours" else given.reference and str(given.reference / "bin" / "python")
            if python:
                subprocess.run([python, __file__, "--run", name, str(path)], check=True)


if __name__ == "__main__":
    main()
