"""Waits that hold no worker, one module a noun."""
