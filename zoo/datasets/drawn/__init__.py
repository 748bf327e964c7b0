"""Drawn stand-ins for data sets that cannot be shipped: one module a source, in the real layout, equal for equal seeds."""
