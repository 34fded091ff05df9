"""Checking many attacked pairs: reading and matching them, measuring, verdicts, tables and reports."""
