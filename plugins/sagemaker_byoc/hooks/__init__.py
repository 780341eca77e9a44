"""The calls to AWS, one module a noun."""
