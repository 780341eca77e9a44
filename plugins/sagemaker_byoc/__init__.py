"""Retrain a model of your own, in a container of your own, on AWS SageMaker from Airflow."""

__version__ = "0.1.0"
