"""The whole story on embedded data: train one model twice, evaluate, compare, report."""
