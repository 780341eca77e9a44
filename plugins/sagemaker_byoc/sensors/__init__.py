"""Tasks that wait for something on AWS, one module a noun."""
