"""CodeBuild whose builds really run, in a shell of this machine."""
