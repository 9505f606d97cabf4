package fetch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// corpusSuites are the Debian suites whose bpftrace the corpus is taken from: its release 0.17, and its newest.
var corpusSuites = []string{"bookworm", "sid"}

// Corpus returns a directory with the scripts that Debian's bpftrace packages ship, SUITE/NAME.bt, fetching them if needed
// (5 MB). They are read by tests only, and are never part of sonde.
func (c *Cache) Corpus(ctx context.Context) (string, error) {
	dir, err := c.Item(ctx, "corpus", "corpus 1", func(ctx context.Context, dir string) error {
		for _, suite := range corpusSuites {
			if err := c.corpusFrom(ctx, dir, suite); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "scripts"), nil
}

func (c *Cache) corpusFrom(ctx context.Context, dir, suite string) error {
	root, err := c.packages(ctx, dir, Suite{Name: suite}, "bpftrace", func(name string) bool { return name == "bpftrace" })
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	scripts, err := filepath.Glob(filepath.Join(root, "usr/sbin/*.bt"))
	if err != nil {
		return err
	}
	if len(scripts) == 0 {
		return fmt.Errorf("bpftrace of %s ships no scripts in /usr/sbin", suite)
	}
	to := filepath.Join(dir, "scripts", suite)
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, s := range scripts {
		if err := os.Rename(s, filepath.Join(to, filepath.Base(s))); err != nil {
			return err
		}
	}
	return nil
}
