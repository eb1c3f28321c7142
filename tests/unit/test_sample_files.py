"""The landing files of the sample: where they are, what they hold, the same each time."""

import hashlib
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from orchestration.sample import generate
from orchestration.sample.layout import LAYOUTS

CONTRACTS = Path(__file__).parents[2] / "contracts"
START, END = date(2024, 3, 10), date(2024, 4, 18)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample")
    generate(out, customers=60, start=START, end=END, seed=3)
    return out


@pytest.mark.parametrize("table", sorted(LAYOUTS))
def test_a_layout_is_what_its_contract_says(table: str) -> None:
    contract = yaml.safe_load((CONTRACTS / f"{table}.yaml").read_text(encoding="utf-8"))
    server, schema, layout = contract["servers"][0], contract["schema"][0], LAYOUTS[table]
    headers = {p["physicalName"] for p in schema["properties"] if "physicalName" in p}
    properties = {p["property"]: p["value"] for p in schema["customProperties"]}
    assert layout.path == server["path"]
    assert set(layout.header) == headers
    assert layout.delimiter == server.get("delimiter", ",")
    assert layout.required == properties["deliveryRequired"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(sample: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", customers=60, start=START, end=END, seed=3)
    generate(tmp_path / "other", customers=60, start=START, end=END, seed=4)
    assert digests(sample) == digests(tmp_path / "again")
    assert digests(sample)["shop/orders_2024-03-20.csv"] != digests(tmp_path / "other")["shop/orders_2024-03-20.csv"]


def test_the_required_tables_have_a_file_for_each_day_with_its_header(sample: Path) -> None:
    days = [START + timedelta(days=d) for d in range((END - START).days + 1)]
    for table in ("customers", "orders", "order_lines"):
        for day in days:
            first = (sample / LAYOUTS[table].name(day.isoformat())).read_bytes().split(b"\n")[0]
            assert first + b"\n" == LAYOUTS[table].head()


def test_whole_lists_come_on_the_first_day_and_rates_have_a_first_day_but_no_weekend(sample: Path) -> None:
    for table in ("products", "channels", "campaigns", "exchange_rates"):
        assert (sample / LAYOUTS[table].name(START.isoformat())).exists()
    assert START.weekday() == 6
    assert not (sample / LAYOUTS["exchange_rates"].name("2024-03-16")).exists()
    assert (sample / LAYOUTS["exchange_rates"].name("2024-03-18")).exists()


def test_a_single_customer_on_a_single_day_is_a_sample(tmp_path: Path) -> None:
    rows = generate(tmp_path, customers=1, start=START, end=START, seed=1)
    assert set(rows) == set(LAYOUTS)
    assert (tmp_path / "truth" / "totals.csv").exists()


def test_a_former_sample_is_replaced_and_foreign_files_are_left_alone(tmp_path: Path) -> None:
    generate(tmp_path, customers=2, start=START, end=END, seed=1, dirt=0.1)
    generate(tmp_path, customers=2, start=START, end=START, seed=1)
    assert (tmp_path / "truth" / "dirt.csv").read_text(encoding="utf-8") == "table,kind,rows,files,expectation\n"
    assert len(list((tmp_path / "shop").glob("orders_*.csv"))) == 1
    foreign = tmp_path / "foreign"
    (foreign / "shop").mkdir(parents=True)
    (foreign / "shop" / "orders.csv").write_text("theirs", encoding="utf-8")
    with pytest.raises(ValueError, match="not written by a sample"):
        generate(foreign, customers=2, start=START, end=START)
    assert (foreign / "shop" / "orders.csv").read_text(encoding="utf-8") == "theirs"


@pytest.mark.parametrize(
    ("customers", "end", "dirt", "sentence"),
    [
        (0, END, 0.0, "at least one customer"),
        (1, START - timedelta(days=1), 0.0, "before the start"),
        (1, END, 0.9, "rate of dirt"),
    ],
)
def test_impossible_wishes_are_refused_with_a_sentence(
    customers: int, end: date, dirt: float, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence):
        generate(tmp_path, customers=customers, start=START, end=end, dirt=dirt)
