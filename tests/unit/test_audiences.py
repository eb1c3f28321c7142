"""Audiences: their files, hashes as platforms publish them, what one night exports after another."""

import json
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from orchestration.activation import Audience, AudienceError, ExportError, export, exports, last_export, load_audience
from orchestration.settings import PROJECT_DIR, Settings
from tests.support.audiences import (
    AS_OF,
    Person,
    assign_in,
    audience_in,
    erase_in,
    members,
    release_of,
)
from tests.support.world import settings_in

VALID = """\
description: Champions.
purpose: marketing
medium: email
campaign: SPRING
where: segment = 'champion'
frequency_cap: none
"""


def test_the_shipped_examples_are_audiences() -> None:
    files = sorted((PROJECT_DIR / "audiences").glob("*.yml"))
    assert {load_audience(file).name for file in files} == {"champions_email", "at_risk_high_value"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("medium: email", "medium: pigeon", "line 3: medium: "),
        ("purpose: marketing\n", "", "line 1: purpose: Field required"),
        ("medium: email", "medium: email\ncolour: red", "line 4: colour: "),
        ("frequency_cap: none", "frequency_cap: {messages: 0, days: 7}", "line 6: frequency_cap.Cap.messages: "),
        ("medium: email", "medium: ads", "line 1: platform (google or meta) is given"),
        ("medium: email", "medium: email\nname: other", "line 4: name: the name of an audience is its file's"),
        ("medium: email", "medium: email\ncolumns: [segment, email]", "line 1: columns: email is in the file once"),
        ("medium: email", "medium: [email", "is no YAML"),
        ("segment = 'champion'", "segment =", "line 5: where: is no SQL condition"),
        ("segment = 'champion'", "true) union select email from restricted.customer_contact --", "line 5: where: "),
        ("segment = 'champion'", "select 1", "line 5: where: must be one condition"),
        ("segment = 'champion'", "true; drop table mart.dim_customer", "line 5: where: "),
        ("segment = 'champion'", "random() < 0.5", "line 5: where: random gives"),
        ("segment = 'champion'", "acquired_on > current_date - 7", "line 5: where: current_date gives another result"),
        (
            "segment = 'champion'",
            "customer_id in (select customer_id from read_csv('/etc/passwd'))",
            "line 5: where: 'READ_CSV('/etc/passwd')' is no table",
        ),
        (
            "segment = 'champion'",
            "customer_id in (select customer_id from personal.restricted.customer_contact)",
            "line 5: where: 'personal.restricted.customer_contact' is no table of schema mart",
        ),
    ],
)
def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = tmp_path / "champions.yml"
    file.write_text(VALID.replace(old, new))
    with pytest.raises(AudienceError) as error:
        load_audience(file)
    assert str(error.value).startswith(f"{file}, line ")
    assert said in str(error.value)


def test_a_condition_over_an_unknown_column_is_told(tmp_path: Path) -> None:
    audience = audience_in(tmp_path, where="segmnt = 'champion'")
    with pytest.raises(AudienceError, match=r"champions\.yml: release .* cannot answer it: .*segmnt"):
        export(settings_in(tmp_path), audience, release_of(tmp_path / "r", [Person("C1", "a@example.com")]))


def test_hashes_are_those_that_the_platforms_publish(tmp_path: Path) -> None:
    # Meta's examples of customer information parameters; Google's rules of Customer Match
    person = Person("C1", " John_Smith@gmail.com ", phone="(650)555-1212", country="US")
    dotted = Person("C2", "Jane.Doe@GoogleMail.com", phone="+33 6 12 34 56 78")
    release, settings = release_of(tmp_path / "r", [person, dotted]), settings_in(tmp_path)
    meta = export(settings, audience_in(tmp_path, "meta_ads", medium="ads", platform="meta"), release)
    google = export(settings, audience_in(tmp_path, "google_ads", medium="ads", platform="google"), release)
    published = (
        "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
        "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
    )

    def hashed(*texts: str) -> tuple[str, ...]:
        return tuple(sha256(text.encode()).hexdigest() for text in texts)

    assert [row[2:] for row in members(meta.folder)] == [published, hashed("jane.doe@googlemail.com", "33612345678")]
    assert [row[2:] for row in members(google.folder)] == [
        hashed("john_smith@gmail.com", "+16505551212"),
        hashed("janedoe@googlemail.com", "+33612345678"),
    ]


# --- two nights ---


def test_exporting_twice_gives_no_difference_and_the_same_bytes(tmp_path: Path) -> None:
    people = [Person(f"C{i}", f"c{i}@example.com") for i in range(60)]
    settings, audience, release = (
        settings_in(tmp_path),
        audience_in(tmp_path, columns=["value_12m_net"]),
        release_of(tmp_path / "r", people),
    )
    first = export(settings, audience, release)
    again = export(settings, audience, replace(release, release_id="20240331-0002"))
    assert (first.is_new, again.is_new, again.folder) == (True, False, first.folder)
    assert [p.name for p in first.folder.parent.iterdir() if not p.is_symlink()] == [first.folder.name]
    elsewhere = export(settings_in(tmp_path / "other"), audience, release_of(tmp_path / "r2", people[::-1]))
    assert {f.name: f.read_bytes() for f in elsewhere.folder.iterdir()} == {
        f.name: f.read_bytes() for f in first.folder.iterdir()
    }
    next_day = export(settings, audience, replace(release, as_of_date=AS_OF + timedelta(days=1)))
    assert next_day.manifest["rows"] == {"full": 60, "added": 0, "removed": 0, "changed": 0}
    assert next_day.manifest["previous_export_id"] == first.manifest["export_id"]


def test_the_next_night_tells_who_came_went_and_changed(tmp_path: Path) -> None:
    settings, audience = settings_in(tmp_path), audience_in(tmp_path, columns=["value_12m_net"])
    stays, goes, moves, comes = (Person(f"C{i}", f"c{i}@example.com") for i in range(4))
    lapsed = Person("C5", "c5@example.com")
    export(settings, audience, release_of(tmp_path / "r", [stays, goes, moves, lapsed]))
    withdrawn = replace(goes, consents=frozenset({"sms"}), since=AS_OF + timedelta(days=1))
    tomorrow = [stays, withdrawn, replace(moves, email="new@example.com"), comes, replace(lapsed, segment="lost")]
    done = export(settings, audience, release_of(tmp_path / "r", tomorrow, AS_OF + timedelta(days=1)))
    assert members(done.folder, "removed") == [("C1", "A-C1", "c1@example.com"), ("C5", "A-C5", "c5@example.com")]
    assert [row[:3] for row in members(done.folder, "changed")] == [("C2", "A-C2", "new@example.com")]
    assert [row[0] for row in members(done.folder, "added")] == ["C3"]
    assert [row[0] for row in members(done.folder)] == ["C0", "C2", "C3"]
    assert done.manifest["removed_because"] == {"no_consent": 1, "no_longer_chosen": 1}
    csv = (done.folder / "changed.csv").read_text()
    assert csv == "customer_id,account_id,email,value_12m_net\nC2,A-C2,new@example.com,100.00\n"
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert all(sha256((done.folder / n).read_bytes()).hexdigest() == f["sha256"] for n, f in manifest["files"].items())
    assert (done.folder.stat().st_mode & 0o777, (done.folder / "full.csv").stat().st_mode & 0o777) == (0o700, 0o600)


def test_other_columns_change_everybody_and_another_place_begins_anew(tmp_path: Path) -> None:
    settings, people = settings_in(tmp_path), [Person("C1", "c1@example.com"), Person("C2", "c2@example.com")]
    release = release_of(tmp_path / "r", people)
    export(settings, audience_in(tmp_path), release)
    wider = export(settings, audience_in(tmp_path, columns=["segment"]), release)
    assert wider.manifest["rows"] == {"full": 2, "added": 0, "removed": 0, "changed": 2}
    place = {"type": "folder", "path": str(tmp_path / "exchange")}
    elsewhere = export(settings, audience_in(tmp_path, columns=["segment"], destination=place), release)
    assert elsewhere.manifest["rows"] == {"full": 2, "added": 2, "removed": 0, "changed": 0}
    there = tmp_path / "exchange" / "champions" / elsewhere.manifest["export_id"]
    sent = {f"{kind}.{form}" for kind in ("full", "added", "removed", "changed") for form in ("csv", "parquet")}
    assert {f.name for f in there.iterdir()} == {*sent, "manifest.json"}


def test_an_older_release_is_not_exported(tmp_path: Path) -> None:
    settings, audience, release = (
        settings_in(tmp_path),
        audience_in(tmp_path),
        release_of(tmp_path / "r", [Person("C1", "a@example.com")]),
    )
    export(settings, audience, release)
    with pytest.raises(ExportError, match="consents withdrawn since are not in it"):
        export(settings, audience, replace(release, as_of_date=date(2024, 3, 1)))


@pytest.mark.parametrize("moment", ["half-way", "after the delivery"])
def test_an_export_that_is_killed_leaves_the_old_one_and_the_next_one_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    settings = settings_in(tmp_path)
    audience = audience_in(tmp_path, destination={"type": "folder", "path": str(tmp_path / "exchange")})
    one, two, three = (Person(f"C{i}", f"c{i}@example.com") for i in range(3))
    first = export(settings, audience, release_of(tmp_path / "r", [one, two]))
    release = release_of(tmp_path / "r", [one, two, three], AS_OF + timedelta(days=1))
    really = exports.deliver

    def killed(settings: Settings, audience: Audience, folder: Path, names: list[str]) -> None:
        if moment == "after the delivery":
            really(settings, audience, folder, names)
        else:
            (tmp_path / "exchange" / "champions" / f"{folder.name}.part").mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(exports, "deliver", killed)
        with pytest.raises(KeyboardInterrupt):
            export(settings, audience, release)
    assert last_export(settings, audience.name) == first.manifest
    # meanwhile the second person withdrew consent
    gone = replace(two, consents=frozenset())
    done = export(settings, audience, release_of(tmp_path / "r", [one, gone, three], AS_OF + timedelta(days=2)))
    assert [row[0] for row in members(done.folder)] == ["C0", "C2"]
    arrived = moment == "after the delivery"
    assert done.manifest["rows"] == {"full": 2, "added": 0 if arrived else 1, "removed": 1, "changed": 0}
    there = sorted(p.name for p in (tmp_path / "exchange" / "champions").iterdir())
    assert there == [first.folder.name, *(["20240401-0002"] if arrived else []), done.folder.name]


def test_what_was_planned_is_kept_with_who_was_held_back(tmp_path: Path) -> None:
    settings, audience = settings_in(tmp_path), audience_in(tmp_path)
    assign_in(settings, "SPRING", {"C0": "treated", "C1": "control", "C2": "holdout", "C3": "treated"})
    people = [Person(f"C{i}", f"c{i}@example.com") for i in range(5)]
    export(settings, audience, release_of(tmp_path / "r", people))
    withdrawn = [*people[:3], replace(people[3], consents=frozenset()), people[4]]
    done = export(settings, audience, release_of(tmp_path / "r", withdrawn, AS_OF + timedelta(days=9)))
    first, ended = date(2024, 4, 1), date(2024, 4, 10)
    assert members(done.folder, "planned") == [
        ("champions", "SPRING", "email", "A-C0", "treated", first, None),
        ("champions", "SPRING", "email", "A-C1", "control", first, None),
        ("champions", "SPRING", "email", "A-C2", "holdout", first, None),
        ("champions", "SPRING", "email", "A-C3", "treated", first, ended),
    ]
    assert (
        done.manifest["refused"] | {"not_assigned": 1, "control": 1, "holdout": 1, "no_consent": 1}
        == done.manifest["refused"]
    )


def test_a_list_of_erasures_that_cannot_be_read_stops_the_export(tmp_path: Path) -> None:
    settings, release = settings_in(tmp_path), release_of(tmp_path / "r", [Person("C1", "a@example.com")])
    erase_in(settings)
    settings.erasures_file.write_text("customer\nC1\n")
    with pytest.raises(ExportError, match=r"privacy/erasures\.csv cannot be read: it is CSV with the header id"):
        export(settings, audience_in(tmp_path), release)
    settings.erasures_file.write_text("id,asked_on\nC1,2024-01-01\n,2024-01-02\n")
    with pytest.raises(ExportError, match=r"privacy/erasures\.csv, line 3: id must be given"):
        export(settings, audience_in(tmp_path), release)
