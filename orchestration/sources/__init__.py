"""Readers: where deliveries come from. Each turns the files of a window into rows of SQL."""
