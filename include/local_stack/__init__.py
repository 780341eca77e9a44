"""The whole stack on one machine: the local AWS and a real Airflow, started, watched and stopped together."""
