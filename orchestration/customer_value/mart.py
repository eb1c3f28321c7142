"""Customer value between the mart and the models: DuckDB relations in, Arrow tables out.

Called by dbt's Python models ``int_ltv_*``, so that one dbt call builds the whole mart in the right order.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from orchestration.customer_value import backtest
from orchestration.customer_value.assumptions import findings as check_assumptions
from orchestration.customer_value.cells import Bools, Floats, InputError, Ints
from orchestration.customer_value.estimate import MODELS, MONTHS, Gate, choose
from orchestration.customer_value.groups import Fits, Groups, fit_groups, parts, predict_groups
from orchestration.customer_value.history import OrderDays
from orchestration.customer_value.scoring import Prediction
from orchestration.settings import Settings, load_settings

#: Of the method: part of model_version, raised when the same input would give other values.
VERSION = 1

#: Bounds of p_alive below which the risk is medium, and high.
CHURN = (("low", 2 / 3), ("medium", 1 / 3), ("high", 0.0))
#: Share of customers that are worth less over the longest horizon, from which on a tier begins.
TIERS = (("top", 0.95), ("high", 0.80), ("medium", 0.50), ("low", 0.0))

_EPOCH = date(1970, 1, 1)
_AMOUNTS = ("expected_order_value", *(f"predicted_value_{m}m{e}" for m in MONTHS for e in ("", "_low", "_high")))


class _Inputs:
    """What the mart knows: as_of_date, customers and their order days."""

    def __init__(self, run_parameters: Any, customers: Any, order_days: Any) -> None:
        self.settings: Settings = load_settings()
        self.as_of_date: date = run_parameters.project("as_of_date").fetchall()[0][0]
        self.day = (self.as_of_date - _EPOCH).days
        self._customers = customers.order("customer_number")
        days = order_days.project(
            "customer_number, order_date - date '1970-01-01' as day, cast(net_amount as double) as net, "
            "cast(margin_amount as double) as margin"
        ).fetchnumpy()
        numbers = self._customers.project("customer_number").fetchnumpy()["customer_number"]
        place, order = _places(numbers, days["customer_number"])
        margin = np.ma.filled(np.ma.asarray(days["margin"], np.float64), np.nan)
        self.history = OrderDays.of(place, days["day"][order], days["net"][order], margin[order])
        self.worth = self.history.margin if self.settings.ltv_value_unit == "margin" else self.history.net

    @cached_property
    def customer_id(self) -> Any:
        """The customers' ids in the order of their numbers, as an Arrow array."""
        return self._columns("customer_id")[0]

    @cached_property
    def groups(self) -> Groups:
        """By market and channel of acquisition, else by market."""
        repeated = np.bincount(self.history.customer) > 1
        return Groups.of(
            self._columns("concat(market, '/', acquisition_channel_id) as market_and_channel, market"), repeated
        )

    def _columns(self, names: str) -> list[Any]:
        table = self._customers.project(names).to_arrow_table()
        return [column.combine_chunks() for column in table.columns]


def _places(customers: Ints, days: Ints) -> tuple[Ints, Ints]:
    """The place of each row's customer among ``customers``, numbers in order, and the order in which these places ascend.

    Nights append the customers that they touch, so that rows are a few ascending sequences: quick to sort. Raises InputError where
    customers and rows do not have the same numbers.
    """
    order = np.argsort(days, kind="stable")
    sorted_days = days[order]
    place = np.cumsum(np.diff(sorted_days, prepend=sorted_days[:1]) != 0)
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    if not np.array_equal(sorted_days[starts], customers):
        raise InputError(f"{len(starts)} customers have order days, {len(customers)} a number: they must be the same")
    return place, order


def backtested(run_parameters: Any, customers: Any, order_days: Any) -> Any:
    """Table of the back-test: a row per cut-off and model; where there is none, a row per model with the reason."""
    import pyarrow as pa

    inputs = _Inputs(run_parameters, customers, order_days)
    rows = backtest.run(
        inputs.history,
        inputs.groups,
        list(MODELS.values()),
        inputs.day,
        inputs.settings.ltv_discount_rate,
        inputs.worth,
    )
    chosen = choose(rows).model
    nothing = choose([]).reason
    rows = rows or [backtest.Row(-1, 0, name, len(inputs.customer_id), nothing) for name in MODELS]
    columns: dict[str, list[Any]] = {}
    for row in rows:
        derived = {n: getattr(row, n) for n in ("mae_naive", "rmse_naive", "spearman_naive")}
        for name, value in {
            **asdict(row),
            **derived,
            "is_chosen": chosen is not None and chosen.name == row.model,
        }.items():
            columns.setdefault(name, []).append(None if isinstance(value, float) and np.isnan(value) else value)
    days = columns.pop("cutoff")
    columns["cutoff_date"] = [None if d < 0 else _EPOCH + timedelta(days=d) for d in days]
    columns["horizon_months"] = [m or None for m in columns["horizon_months"]]
    text = {"model", "reason"}
    whole = {"customers", "horizon_months"}
    by_decile = {"decile_customers": pa.int64(), "decile_predicted": pa.float64(), "decile_actual": pa.float64()}
    types = {n: pa.string() if n in text else pa.int64() if n in whole else pa.float64() for n in columns}
    types |= {"cutoff_date": pa.date32(), "is_chosen": pa.bool_(), **{n: pa.list_(t) for n, t in by_decile.items()}}
    return pa.table({n: pa.array(v, types[n]) for n, v in columns.items()})


def _gate(backtest_rows: Any) -> Gate:
    """The gate's answer, from the table of the back-test."""
    table = backtest_rows.fetchnumpy()
    known = np.flatnonzero(~np.ma.getmaskarray(np.ma.asarray(table["cutoff_date"])) & ~np.isnat(_filled_dates(table)))
    rows = []
    for i in sorted(known, key=lambda i: (str(table["cutoff_date"][i]), str(table["model"][i]))):
        figures: dict[str, Any] = {f: _number(table[f][i]) for f in backtest.FIGURES}
        day = int(_filled_dates(table)[i].astype("datetime64[D]").astype(int))
        rows.append(
            backtest.Row(
                day, int(table["horizon_months"][i]), str(table["model"][i]), int(table["customers"][i]),
                str(table["reason"][i] or ""), **figures,
            )
        )  # fmt: skip
    return choose(rows)


def _filled_dates(table: Any) -> Any:
    return np.ma.filled(np.ma.asarray(table["cutoff_date"]), np.datetime64("NaT"))


def _number(value: Any) -> float:
    return np.nan if value is np.ma.masked or value is None else float(value)


def findings(run_parameters: Any, customers: Any, order_days: Any, backtest_rows: Any) -> Any:
    """Table of the checks of assumptions, and of the back-test's gate (passed null where there was nothing to judge by)."""
    import pyarrow as pa

    inputs = _Inputs(run_parameters, customers, order_days)
    found = check_assumptions(inputs.history, inputs.history.summary(inputs.day), inputs.day)
    gate = _gate(backtest_rows)
    passed: list[bool | None] = [f.passed for f in found]
    passed.append(gate.model is not None if gate.can_judge else None)
    return pa.table(
        {
            "check_name": pa.array([*(f.check for f in found), "back_test_gate"], pa.string()),
            "passed": pa.array(passed, pa.bool_()),
            "value": pa.array([*(float(f.value) for f in found), None], pa.float64()),
            "limit_value": pa.array([*(float(f.limit) for f in found), None], pa.float64()),
            "message": pa.array([*(f.message for f in found), gate.reason], pa.string()),
        }
    )


def previous() -> Any:
    """The customer values that are published, as an Arrow table; None where there are none. No build can lose them."""
    import duckdb

    from orchestration.releases import current
    from orchestration.warehouse import connect_file

    settings = load_settings()
    release = current(settings)
    if release is None:
        return None
    with connect_file(settings, release.datamart) as con:
        try:
            return con.sql(f"select {', '.join(_schema().names)} from mart.customer_ltv").to_arrow_table()
        except (
            duckdb.CatalogException,
            duckdb.BinderException,
        ):  # a release of before there were any, or of other columns
            return None


def estimated(
    run_parameters: Any, customers: Any, order_days: Any, backtest_rows: Any, last: Callable[[], Any] = previous
) -> Any:
    """Table of customer values. Where the gate is closed: the rows that ``last`` gives, marked stale; nulls for customers new since.

    Without a back-test there is nothing that a last good version could be good by: nulls with the reason.
    """
    inputs = _Inputs(run_parameters, customers, order_days)
    gate = _gate(backtest_rows)
    if gate.model is not None:
        seen = inputs.history.seen(inputs.day)
        summary = inputs.history.summary(inputs.day)
        worth = inputs.worth[inputs.history.day <= inputs.day]
        fits = fit_groups(gate.model, *parts(seen, summary, inputs.groups, worth))
        if not fits.reason:
            prediction = predict_groups(fits, summary, MONTHS, inputs.settings.ltv_discount_rate)
            return _table(inputs, fits, prediction, summary.customer)
        gate = Gate(None, fits.reason, can_judge=True)
    return _kept(inputs, gate, last() if gate.can_judge else None)


def _schema() -> Any:
    import pyarrow as pa

    money = pa.decimal128(18, 2)
    fields: list[tuple[str, Any]] = [
        ("customer_id", pa.string()), ("as_of_date", pa.date32()), ("model", pa.string()), ("model_version", pa.string()),
        ("fit_group", pa.string()), ("value_unit", pa.string()), ("discount_rate", pa.float64()), ("p_alive", pa.float64()),
        *((f"expected_orders_{m}m", pa.float64()) for m in MONTHS),
        *((name, money) for name in _AMOUNTS),
        ("expected_next_order_date", pa.date32()), ("churn_risk", pa.string()), ("value_tier", pa.string()),
        ("is_stale", pa.bool_()), ("reason", pa.string()),
    ]  # fmt: skip
    return pa.schema(fields)


def _table(inputs: _Inputs, fits: Fits, prediction: Prediction, order: Any) -> Any:
    """A row per customer. ``order`` gives the customers' numbers."""
    import pyarrow as pa

    n = len(order)
    digest = sha256(
        "".join(f"{g.name}{g.orders.parameters}{g.part.spend.parameters}" for g in fits.groups).encode()
    ).hexdigest()
    group = np.zeros(n, np.int64)
    for place, fit in enumerate(fits.groups):
        group[fit.members] = place
    names = np.array([g.name for g in fits.groups], object)
    columns: dict[str, Any] = {
        "customer_id": inputs.customer_id.take(pa.array(order)),
        "as_of_date": _repeated(inputs.as_of_date, n, pa.date32()),
        "model": _repeated(fits.model.name, n, pa.string()),
        "model_version": _repeated(f"{VERSION}-{digest[:12]}", n, pa.string()),
        "fit_group": pa.array(names[group], pa.string()),
        "value_unit": _repeated(inputs.settings.ltv_value_unit, n, pa.string()),
        "discount_rate": _repeated(inputs.settings.ltv_discount_rate, n, pa.float64()),
        "p_alive": pa.array(prediction.p_alive),
        "expected_order_value": _money(prediction.order_value),
        "expected_next_order_date": _dates(inputs.day, prediction.wait),
        "churn_risk": _labels(prediction.p_alive, CHURN),
        "value_tier": _labels(prediction.value[-1], _least_values(prediction.value[-1])),
        "is_stale": _repeated(False, n, pa.bool_()),
        "reason": pa.nulls(n, pa.string()),
    }
    for h, months in enumerate(MONTHS):
        columns[f"expected_orders_{months}m"] = pa.array(prediction.orders[h])
        for suffix, values in (("", prediction.value), ("_low", prediction.low), ("_high", prediction.high)):
            columns[f"predicted_value_{months}m{suffix}"] = _money(values[h])
    return pa.table({name: columns[name] for name in _schema().names}, schema=_schema())


def _kept(inputs: _Inputs, gate: Gate, last: Any) -> Any:
    """The last good version where there is one, and nulls with the reason for everybody else."""
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = _schema()
    everybody = inputs.customer_id
    parts = []
    if last is not None:
        good = last.filter(pc.and_(pc.is_valid(last["model"]), pc.is_in(last["customer_id"], everybody)))
        good = good.set_column(schema.get_field_index("is_stale"), "is_stale", _repeated(True, len(good), pa.bool_()))
        good = good.set_column(
            schema.get_field_index("reason"), "reason", _repeated(gate.reason, len(good), pa.string())
        )
        parts.append(good.cast(schema))
        everybody = everybody.filter(pc.invert(pc.is_in(everybody, good["customer_id"].combine_chunks())))
    n = len(everybody)
    known = {
        "customer_id": everybody,
        "as_of_date": _repeated(inputs.as_of_date, n, pa.date32()),
        "is_stale": _repeated(False, n, pa.bool_()),
        "reason": _repeated(gate.reason, n, pa.string()),
    }
    parts.append(pa.table({f.name: known.get(f.name, pa.nulls(n, f.type)) for f in schema}, schema=schema))
    return pa.concat_tables(parts)


def _repeated(value: Any, n: int, arrow_type: Any) -> Any:
    import pyarrow as pa

    return pa.repeat(pa.scalar(value, arrow_type), n)


def _money(values: Floats) -> Any:
    """To the cent, half away from zero; through text, as a double times 100 is not always a whole number of cents."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.round(pa.array(values), 2).cast(pa.decimal128(18, 2), safe=False)


def _dates(day: int, wait: Floats) -> Any:
    import pyarrow as pa

    soon: Bools = np.isfinite(wait)
    days = np.where(soon, day + np.maximum(np.ceil(np.where(soon, wait, 0)), 1), 0).astype(np.int32)
    return pa.array(days, pa.int32(), mask=~soon).cast(pa.date32())


def _labels(values: Floats, bounds: Sequence[tuple[str, float]]) -> Any:
    """The first label whose bound is reached, the last one where none is, as an Arrow array."""
    import pyarrow as pa

    # all bounds descend: as many as are not reached come before the label
    missed = np.sum([~(values >= low) for _, low in bounds[:-1]], axis=0, dtype=np.int8)
    return pa.DictionaryArray.from_arrays(missed, [name for name, _ in bounds]).cast(pa.string())


def _least_values(values: Floats) -> list[tuple[str, float]]:
    """The tiers with the smallest value that is in each: a share of at least its bound is worth less. Equal values are in the same one."""
    ordered = np.sort(values)
    shares = np.searchsorted(ordered, ordered, side="left") / max(len(values), 1)
    return [
        (name, float(ordered[place]) if (place := np.searchsorted(shares, low)) < len(ordered) else np.inf)
        for name, low in TIERS
    ]
