"""Frames of videos and cameras: read, predicted, drawn and recorded, for the commands `predict` and `capture`."""
