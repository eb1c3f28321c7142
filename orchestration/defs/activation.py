"""Audiences as assets: one step after the release exports them all, each with what the gate counted. Without an audience, none."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from orchestration import activation, disk, releases
from orchestration.defs.releases import RELEASE
from orchestration.defs.resources import WRITER_POOL, WriterLock, settings


def figures(done: activation.Export) -> dict[str, Any]:
    """An export as metadata: numbers of people, nobody's data."""
    manifest = done.manifest
    refused: Mapping[str, int] = manifest["refused"]
    return {
        "export_id": manifest["export_id"],
        "is_new": done.is_new,
        "release_id": manifest["release_id"],
        "destination": manifest["destination"] or str(done.folder),
        "chosen": manifest["chosen"],
        **manifest["rows"],
        **{f"refused_{reason}": number for reason, number in refused.items()},
    }


@dg.definitions
def audiences() -> dg.Definitions:
    """The declared audiences, by their files alone: one that is wrong fails its own export, and no release."""
    files = activation.audience_files(settings.audiences) if settings.audiences is not None else {}
    if not files:
        return dg.Definitions()
    keys = {name: dg.AssetKey(["audience", name]) for name in files}

    @dg.multi_asset(
        name="export_audiences",
        specs=[
            dg.AssetSpec(
                key, deps=[RELEASE], group_name="audiences", description=f"Audience of {files[name]}.", skippable=True
            )
            for name, key in keys.items()
        ],
        can_subset=True,
        pool=WRITER_POOL,
    )
    def export_audiences(context: dg.AssetExecutionContext, writer: WriterLock) -> Iterator[dg.MaterializeResult[None]]:
        """Export each audience from the published release. One that fails stops no other; the release stays published."""
        release = releases.current(settings)
        if release is None:
            raise dg.Failure("there is no release to export audiences from", allow_retries=False)
        failures = []
        for name, key in keys.items():
            if key not in context.selected_asset_keys:
                continue
            try:
                done = activation.export(settings, activation.load_audience(files[name]), release)
            except (activation.AudienceError, activation.ExportError) as error:
                failures.append(f"audience {name}: {error}")
            except Exception as error:
                if not disk.filled_it(error, settings.home):
                    raise
                failures.append(f"audience {name}: {disk.SENTENCE}")
            else:
                yield dg.MaterializeResult(asset_key=key, metadata=figures(done))
        if failures:
            raise dg.Failure("; ".join(failures), allow_retries=False)

    return dg.Definitions(assets=[export_audiences])
