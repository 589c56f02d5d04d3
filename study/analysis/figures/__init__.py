"""The kinds of figures: each is a function of a `View` and of the options in its YAML file in conf/figure/."""
