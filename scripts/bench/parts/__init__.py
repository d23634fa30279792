"""What is measured: each module has `measure(bench) -> rows`."""
