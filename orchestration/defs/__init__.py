"""Everything that knows Dagster: thin bodies over the packages."""
