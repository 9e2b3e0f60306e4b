"""The benchmark: suites of tasks, resumable runs, results with statistics; and the engine's own measurements."""
