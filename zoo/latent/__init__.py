"""The code space of a model: samples of a prior, what is known of a space, and ways through it."""
