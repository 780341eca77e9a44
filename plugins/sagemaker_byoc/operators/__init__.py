"""Tasks that make something on AWS, one module a noun."""
