"""Programs that stand for containers: their output, their end, and that none outlives the local AWS."""
