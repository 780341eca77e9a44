"""SageMaker Runtime: requests to the containers of endpoints."""
