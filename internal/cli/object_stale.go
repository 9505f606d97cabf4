package cli

func cleanStale(io streams, dryRun, quiet bool) error { return nil }
