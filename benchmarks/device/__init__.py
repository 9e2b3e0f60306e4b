"""What a GPU does with models of real size: fractions of what it can do, and ratios over what others compute."""
