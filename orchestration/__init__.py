"""Fidelis: a marketing datamart, from landing files to a published mart, every night."""
