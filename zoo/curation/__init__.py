"""Better data: what is wrong with a data set, and what to label or record next."""
