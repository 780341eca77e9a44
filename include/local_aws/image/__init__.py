"""Images of the process engine: what a build makes of a context when no container engine is there."""
