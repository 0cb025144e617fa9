"""python -m trainer.launch: several workers on one machine, watched and restarted together."""
