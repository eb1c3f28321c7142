"""The registry over delivered files: who is one person, who is not, and that nights, order and decisions change only what they should."""

import csv
import random
from pathlib import Path

import duckdb
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestration import identity, identity_files
from orchestration.contracts import load_contract
from orchestration.extraction import extract
from orchestration.identity import actions, cluster, quality
from orchestration.identity.ruleset import DEFAULT_RULES
from tests.support.people import CONTRACTS, CUSTOMER, DAYS, build, deliver, event, guest, ids, person
from tests.support.world import settings_in


def test_families_twins_and_devices_of_two_stay_two_and_one_person_is_one(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    people = [
        # one person: another system, capitals, a tag
        person("A1", Email="theo.martin@example.com", FirstName="Théo", LastName="Martin"),
        person("A2", System="shop", Email="Theo.Martin+x@Example.com", FirstName="THEO", LastName="martin"),
        # a family's e-mail, and a newsletter without a name on it
        person("F1", Email="famille@example.org", FirstName="Anne", LastName="Roux", BirthDate="1980-02-03"),
        person("F2", Email="famille@example.org", FirstName="Marc", LastName="Roux", BirthDate="1979-05-06"),
        person("F3", System="newsletter", Email="famille@example.org"),
        # twins: all equal but the first name
        *(
            person(
                n,
                FirstName=f,
                LastName="Petit",
                BirthDate="2001-07-08",
                Phone="06 39 98 11 22",
                Street="5 rue X",
                PostalCode="75011",
                City="Paris",
            )
            for n, f in (("T1", "Lucie"), ("T2", "Manon"))
        ),
        person("O1", FirstName="Zoé", LastName="Abel"),
    ]
    guests = [
        guest("G1", "theo.martin@example.com"),
        guest("G2", "famille@example.org"),
        guest("G3", "new@example.com"),
        guest("G4", "NEW@example.com"),
        guest("G5", "info@example.com"),
    ]
    events = [
        event("e1", "V1", "A1"),
        event("e2", "V1", "A2"),
        event("e3", "V2", "F1"),
        event("e4", "V2", "F2"),
        event("e5", "V3", None),
    ]
    deliver(home, DAYS[0], people, guests, events)
    found = build(home)
    assert found["A1"] == found["A2"] == found["G1"] == found["V1"]
    assert len({found[n] for n in ("F1", "F2", "F3", "T1", "T2", "O1")}) == 6
    assert found["G3"] == found["G4"]
    assert found["G3"] not in {found[n] for n in ("A1", "F1", "F2", "F3")}
    assert not {"G2", "G5", "V2", "V3"} & found.keys()


def test_what_a_robot_is_seen_as_says_nothing_of_a_device(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    people = [person("A1", FirstName="Anne", LastName="Roux"), person("B1", FirstName="Marc", LastName="Abel")]
    events = [
        event("e1", "V1", "A1", "Mozilla/5.0 (Windows NT 10.0)"),
        # a robot went over the same device, another has one of its own; a burst is nobody's, the hour after it a person's
        event("e2", "V1", "B1", "Mozilla/5.0 (compatible; bingbot/2.0)"),
        event("e3", "V2", "A1", "python-requests/2.31"),
        *(event(f"f{n}", "V3", "A1", "Mozilla/5.0") for n in range(1000)),
        event("e4", "V3", "B1", "Mozilla/5.0") | {"ts": "2024-01-01T11:00:00"},
    ]
    deliver(home, DAYS[0], people, events=events)
    found = build(home)
    assert found["V1"] == found["A1"]
    assert found["V3"] == found["B1"]
    assert "V2" not in found


def test_a_growing_cluster_keeps_its_id_and_a_merge_leaves_the_older_one(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    deliver(home, DAYS[0], [person("A", Email="a@example.com")])
    first = build(home)["A"]
    deliver(home, DAYS[1], [person("B", Email="b@example.com")])
    assert build(home, DAYS[1]) == {"A": first, "B": (second := ids(home)["B"])}
    assert second != first
    deliver(home, DAYS[2], [person("B", Email="a@example.com"), person("C", Email="b@example.com")])
    assert build(home, DAYS[2]) == {"A": first, "B": first, "C": first}
    explained = actions.explain(home, first)
    ties = {(tie.left[1], tie.right[1], tie.rule) for tie in explained.ties if tie.is_used}
    assert {("A", "B", "same_email"), ("B", "C", "same_email")} <= ties
    assert {m.record[1] for m in explained.members} == {"A", "B", "C"}
    with duckdb.connect() as con:
        history = f"({identity_files.relation(home, 'history')})"
        as_of = (
            f"select source_id, customer_id from {history} where known_since <= $1 and coalesce(known_until, date '9999-12-31') > $1 "
            "and valid_from <= $1 and valid_to > $1"
        )
        assert dict(con.execute(as_of, [DAYS[1]]).fetchall()) == {"A": first, "B": second}
        assert dict(con.execute(as_of, [DAYS[2]]).fetchall()) == {"A": first, "B": first, "C": first}


def test_a_split_gives_the_smaller_part_a_new_id_even_where_it_has_the_founder_and_is_undone(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    deliver(home, DAYS[0], [person("A", Email="a@example.com")])
    deliver(home, DAYS[1], [person("B", Email="a@example.com"), person("C", Email="a@example.com")])
    before = build(home, DAYS[1])
    assert len(set(before.values())) == 1
    decision = actions.split(home, ["A"], "ann", "the mother")
    after = build(home, DAYS[1])
    assert after["B"] == after["C"] == before["A"]
    assert after["A"] != before["A"]
    assert build(home, DAYS[1], from_nothing=True) == after
    actions.undo(home, decision.decision_id, "ann", "no")
    assert build(home, DAYS[1]) == before


def test_the_figures_are_those_of_the_registry_and_of_the_labelled_pairs(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    people = [person(n, Email="anne@example.com") for n in ("A1", "A2", "A3")]
    people += [person("B1", FirstName="Marc", LastName="Abel"), person("C1", FirstName="Zoe", LastName="Sow")]
    deliver(home, DAYS[0], people, [guest("G1", "anne@example.com"), guest("G2", "new@example.com")])
    build(home)
    found = quality.figures(home)
    assert found.records == {"account": 5, "guest_order": 2}
    # a guest without an account is a customer of none
    assert found.cluster_sizes == {0: 1, 1: 2, 3: 1}
    assert (found.largest_cluster, found.review_pairs, found.precision, found.recall) == (3, 0, None, None)
    labels = quality.labels_file(home)
    # three pairs are joined, one of them by error; of the three true ones two are found
    labels.write_text("source_id,other_id,is_same\nA1,A2,true\nA2,A3,true\nA1,A3,false\nB1,C1,true\nA1,B1,false\n")
    found = quality.figures(home)
    assert (found.precision, found.recall) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    labels.write_text("one,other\nA1,A2\n")
    with pytest.raises(quality.LabelsError, match="needs the columns source_id, other_id, is_same"):
        quality.figures(home)


def test_identified_sales_are_the_share_of_a_channels_net_amount_over_all_months(tmp_path: Path) -> None:
    release = tmp_path / "datamart.duckdb"
    with duckdb.connect(str(release)) as con:
        con.execute("create schema mart")
        con.execute(
            "create table mart.kpi_monthly as select * from (values "
            "(date '2024-01-01', 'WEB', 100.0, 50.0), (date '2024-02-01', 'WEB', 300.0, 250.0), "
            "(date '2024-01-01', 'SHOP', 80.0, 0.0), (date '2024-01-01', 'NONE', 0.0, 0.0), (date '2024-01-01', null, 480.0, 300.0)) "
            "as t(month_start, channel_id, net_amount, identified_net_amount)"
        )
    assert quality.identified_sales(release) == {"SHOP": 0.0, "WEB": 0.75}


def test_reviewed_pairs_are_decisions(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    deliver(home, DAYS[0], [person("A", Email="a@example.com"), person("B", Email="b@example.com")])
    build(home)
    file = tmp_path / "pairs.csv"
    file.write_text("source_id,other_id,decision\nA,B,perhaps\n")
    with pytest.raises(identity.DecisionError, match=r"line 2.*same or different"):
        actions.import_review(home, file, "ann")
    file.write_text("source_id,other_id,decision\nA,B,same\n")
    actions.import_review(home, file, "ann")
    assert len(set(build(home).values())) == 1


@pytest.mark.parametrize(("where_unknown", "customers"), [("true", 2), ("false", 3)])
def test_an_address_that_is_not_verified_is_no_evidence(where_unknown: str, customers: int, tmp_path: Path) -> None:
    document = yaml.safe_load(Path("contracts/customers.yaml").read_text())
    column = next(p for p in document["schema"][0]["properties"] if p["name"] == "is_email_verified")
    column["physicalName"] = "EmailVerified"
    del column["customProperties"]
    file = tmp_path / "customers.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        DEFAULT_RULES.read_text().replace("verified_where_unknown: true", f"verified_where_unknown: {where_unknown}")
    )
    home = settings_in(tmp_path, identity_rules=rules)
    landed = home.landing_dir / f"crm/customers_{DAYS[0]}.csv"
    landed.parent.mkdir(parents=True)
    with open(landed, "w", newline="") as stream:
        writer = csv.DictWriter(stream, [*CUSTOMER, "EmailVerified"], delimiter=";")
        writer.writeheader()
        for number, verified in (("A", "true"), ("B", ""), ("C", "false")):
            writer.writerow(person(number, Email="a@example.com", EmailVerified=verified))
    contract = load_contract(file, CONTRACTS["customers"])
    assert extract(home, contract, [DAYS[0]])[DAYS[0]].rows_quarantined == 0
    identity.build(home, {"customers": contract}, DAYS[0])
    found = ids(home)
    assert len(set(found.values())) == customers
    assert found["C"] != found["A"]


def test_twins_of_nearly_one_name_with_one_email_stay_two_where_hardly_anybody_else_is(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    people = []
    couples = {
        "Petit": ("Louis", "Louise"),
        "Roux": ("Léo", "Léa"),
        "Abel": ("Maria", "Marie"),
        "Sow": ("Daniel", "Daniela"),
    }
    for family, (one, other) in couples.items():
        shared = {
            "Email": f"famille.{family}@example.org",
            "BirthDate": "2001-07-08",
            "City": "Paris",
            "LastName": family,
        }
        people += [
            person(f"{family}1", FirstName=one, **shared),
            person(f"{family}2", FirstName=other, **shared),
            person(f"{family}3", FirstName=one.upper(), System="shop", **shared),
            person(f"{family}4", System="newsletter", Email=shared["Email"]),
        ]
    deliver(home, DAYS[0], people)
    found = build(home)
    for family in couples:
        assert found[f"{family}1"] == found[f"{family}3"]
        assert len({found[f"{family}{n}"] for n in (1, 2, 3, 4)}) == 3


def test_names_a_letter_apart_on_one_family_email_stay_two_and_a_typing_error_is_one_person(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    pairs = {
        # two people: nobody else has the names, with birth dates and without; names that several families bear
        "Petit": [("Jade", "1980-02-03"), ("Jane", "2009-05-06")],
        "Roux": [("Lena", ""), ("Luna", "")],
        "Sow": [("Elsa", ""), ("Elisa", "")],
        # one person: letters swapped, one left out, another letter and the same day
        "Abel": [("Daniel", ""), ("Danile", "")],
        "Valois": [("Nicolas", ""), ("Nicols", "")],
        "Noir": [("Hugo", "1980-02-03"), ("Hulo", "1980-02-03")],
    }
    people = [
        person(
            f"{family}{place}",
            FirstName=first,
            LastName=family,
            BirthDate=born,
            Email=f"chez.{family}@example.org",
            City="Paris",
        )
        for family, two in pairs.items()
        for place, (first, born) in enumerate(two)
    ]
    others = [
        person(f"{first}{family}", FirstName=first, LastName=family)
        for first in ("Elsa", "Elisa")
        for family in ("Blanc", "Faure", "Henry")
    ]
    deliver(home, DAYS[0], people + others)
    found = build(home)
    together = {family for family in pairs if found[f"{family}0"] == found[f"{family}1"]}
    assert together == {"Abel", "Valois", "Noir"}


@given(
    edges=st.lists(
        st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 3)), max_size=14, unique_by=lambda e: e[:2]
    ),
    apart=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)).filter(lambda p: p[0] != p[1]), max_size=4),
    seed=st.integers(0, 99),
)
def test_clusters_never_hold_a_pair_told_apart_and_do_not_depend_on_the_order_of_edges(
    edges: list[tuple[int, int, int]], apart: list[tuple[int, int]], seed: int
) -> None:
    def resolved(rows: list[tuple[int, int, int]]) -> list[int]:
        table = np.array(rows, dtype=np.int64).reshape(-1, 3)
        weight = np.zeros(len(table))
        return cluster.resolve(9, table[:, 0], table[:, 1], table[:, 2], weight, (), apart).tolist()

    labels = resolved(edges)
    assert all(labels[a] != labels[b] for a, b in apart)
    joined = cluster.components(9, *np.array([e[:2] for e in edges], dtype=np.int64).reshape(-1, 2).T)
    assert all(joined[node] == joined[label] for node, label in enumerate(labels))
    shuffled = list(edges)
    random.Random(seed).shuffle(shuffled)
    assert resolved(shuffled) == labels
