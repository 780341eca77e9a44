"""SageMaker's control plane: training jobs, models, endpoints."""
