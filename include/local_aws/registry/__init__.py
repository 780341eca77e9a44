"""ECR's data plane: the Docker registry that has the images' content, and how ECR learns of what is pushed there."""
