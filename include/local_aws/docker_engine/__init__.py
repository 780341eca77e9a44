"""What the Docker engine is made of: the launch in Docker's words, a running container, networks, and what is left."""
