"""Figures of the repository that hold no personal data: cluster sizes, what is to be reviewed, precision and recall."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration import identity_files
from orchestration.rules import quote_text
from orchestration.settings import Settings


class LabelsError(ValueError):
    """The file of labelled pairs cannot be used; the message says why."""


@dataclass(frozen=True)
class Figures:
    """What the registry in force looks like.

    ``cluster_sizes``: accounts per customer -> customers.
    ``precision`` and ``recall`` are over the labelled pairs, None where there are none.
    """

    cluster_sizes: Mapping[int, int]
    records: Mapping[str, int]
    largest_cluster: int
    review_pairs: int
    precision: float | None
    recall: float | None


def labels_file(settings: Settings) -> Path:
    """Pairs that a person labelled: CSV with source_id, other_id (accounts) and is_same (true, false)."""
    return settings.identity_dir / "labels.csv"


def figures(settings: Settings) -> Figures:
    """The figures of the registry in force. Raises LabelsError for a file of labels that cannot be read."""
    with duckdb.connect() as con:
        for table in ("identities", "review"):
            con.execute(f"create view {table} as {identity_files.relation(settings, table)}")
        sizes = con.execute(
            "select n, count(*) from (select count(*) filter (where record_kind = 'account') as n from identities "
            "group by customer_id) group by n order by n"
        ).fetchall()
        records = con.execute("select record_kind, count(*) from identities group by 1 order by 1").fetchall()
        review = con.execute("select count(*) from review").fetchall()[0][0]
        precision, recall = _on_labels(con, labels_file(settings))
    by_size = {int(n): int(count) for n, count in sizes}
    return Figures(
        cluster_sizes=by_size,
        records={kind: int(count) for kind, count in records},
        largest_cluster=max(by_size, default=0),
        review_pairs=int(review),
        precision=precision,
        recall=recall,
    )


def identified_sales(datamart: Path) -> dict[str, float]:
    """Channel -> share of its net amount, over all months of a release, whose orders have a customer."""
    with duckdb.connect(str(datamart), read_only=True) as con:
        rows = con.execute(
            "select channel_id, round(sum(identified_net_amount) / sum(net_amount), 4) from mart.kpi_monthly "
            "where channel_id is not null group by channel_id having sum(net_amount) <> 0 order by channel_id"
        ).fetchall()
    return {channel: float(share) for channel, share in rows}


def _on_labels(con: duckdb.DuckDBPyConnection, file: Path) -> tuple[float | None, float | None]:
    if not file.exists():
        return None, None
    try:
        found, true, both = con.execute(
            "select count(*) filter (joined), count(*) filter (is_same), count(*) filter (joined and is_same) from ("
            "select a.customer_id = b.customer_id as joined, cast(l.is_same as boolean) as is_same "
            f"from read_csv({quote_text(file)}, header = true, all_varchar = true) as l "
            "join identities as a on a.record_kind = 'account' and a.source_id = l.source_id "
            "join identities as b on b.record_kind = 'account' and b.source_id = l.other_id)"
        ).fetchall()[0]
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise LabelsError(f"{file}: needs the columns source_id, other_id, is_same (true or false): {first}") from error
    return (both / found if found else None), (both / true if true else None)
