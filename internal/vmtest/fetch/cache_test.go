package fetch

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T, dir string, refresh bool) *Cache {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	c, err := Open(dir, refresh, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// put returns a build function that writes content to a file, and counts its calls.
func put(content string, calls *int) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		*calls++
		return os.WriteFile(filepath.Join(dir, "file"), []byte(content), 0o644)
	}
}

func content(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestItemKeepsRenewsRefreshes(t *testing.T) {
	root := t.TempDir()
	calls := 0
	for _, step := range []struct {
		name, recipe, content string
		cache                 *Cache
		want                  string
		calls                 int
	}{
		{"first use", "r1", "one", open(t, root, false), "one", 1},
		{"kept", "r1", "two", open(t, root, false), "one", 1},
		{"another recipe", "r2", "three", open(t, root, false), "three", 2},
		{"refresh", "r2", "four", open(t, root, true), "four", 3},
	} {
		for range 2 { // A refresh is done once, not at each use.
			dir, err := step.cache.Item(t.Context(), "item", step.recipe, put(step.content, &calls))
			if err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if got := content(t, dir); got != step.want || calls != step.calls {
				t.Errorf("%s: got %q after %d builds, want %q after %d", step.name, got, calls, step.want, step.calls)
			}
		}
	}
}

// What cannot be built anew must not take away what there is, and leaves nothing half done behind.
func TestItemFailureKeepsTheOld(t *testing.T) {
	root := t.TempDir()
	calls := 0
	if _, err := open(t, root, false).Item(t.Context(), "item", "r", put("old", &calls)); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no network")
	_, err := open(t, root, true).Item(t.Context(), "item", "r", func(_ context.Context, dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte("half"), 0o644); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	dir, err := open(t, root, false).Item(t.Context(), "item", "r", put("new", &calls))
	if err != nil || content(t, dir) != "old" || calls != 1 {
		t.Errorf("after a failure: %v, %q, %d builds", err, content(t, dir), calls)
	}
	left, _ := filepath.Glob(filepath.Join(root, "*.new"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Of several at once one builds, the others wait and use what it built.
func TestItemConcurrent(t *testing.T) {
	root := t.TempDir()
	var mu sync.Mutex
	calls := 0
	var wg sync.WaitGroup
	for range 4 {
		c := open(t, root, false)
		wg.Go(func() {
			_, err := c.Item(t.Context(), "item", "r", func(ctx context.Context, dir string) error {
				mu.Lock()
				defer mu.Unlock()
				return put("x", &calls)(ctx, dir)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if calls != 1 {
		t.Errorf("%d builds of one item", calls)
	}
}

func TestItemWaitEndsWithContext(t *testing.T) {
	c := open(t, "", false)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := c.Item(t.Context(), "item", "r", func(_ context.Context, _ string) error {
		cancel()
		_, err := open(t, c.dir, false).Item(ctx, "item", "r", func(context.Context, string) error { return nil })
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestDir(t *testing.T) {
	t.Setenv("SONDE_CACHE", "/somewhere")
	if dir, err := Dir(); err != nil || dir != "/somewhere" {
		t.Errorf("with SONDE_CACHE: %s, %v", dir, err)
	}
	t.Setenv("SONDE_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "/xdg")
	if dir, err := Dir(); err != nil || dir != "/xdg/sonde" {
		t.Errorf("without: %s, %v", dir, err)
	}
}

func TestUnknownKernel(t *testing.T) {
	if _, err := open(t, "", false).Kernel(t.Context(), "2.4"); err == nil || !strings.Contains(err.Error(), "6.12") {
		t.Errorf("got %v, want an error that names the kernels there are", err)
	}
}
