"""Kinds of figures: each a function of a `View` and of the options in its YAML file in conf/figure/."""
