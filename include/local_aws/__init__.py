"""An AWS that lives on this machine and really runs training and hosting containers."""
