"""ECR's data plane: the Docker registry that has the images' content, and how ECR shows what is there."""
