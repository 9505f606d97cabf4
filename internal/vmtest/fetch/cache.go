package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Cache keeps what was fetched. What is there is used as it is, however old, until a refresh is asked for.
// Several processes may share one cache directory.
type Cache struct {
	dir     string
	refresh bool
	log     io.Writer

	mu    sync.Mutex
	fresh map[string]bool // fetched anew by this process: refreshed once, not at every use
}

// Dir is the default cache directory: $SONDE_CACHE, else sonde below the user's cache directory.
func Dir() (string, error) {
	if dir := os.Getenv("SONDE_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory: %w: set SONDE_CACHE", err)
	}
	return filepath.Join(dir, "sonde"), nil
}

// Open opens the cache in dir, making it if needed; dir empty means Dir(). Progress of long work goes to log.
// With refresh everything is fetched anew at its first use.
func Open(dir string, refresh bool, log io.Writer) (*Cache, error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("guest kernels are set up for amd64 only, this machine is %s", runtime.GOARCH)
	}
	if dir == "" {
		var err error
		if dir, err = Dir(); err != nil {
			return nil, err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return &Cache{dir: dir, refresh: refresh, log: log, fresh: map[string]bool{}}, nil
}

// stampFile holds the recipe that an item was made by; it is written last, so an item without it is not whole.
const stampFile = "recipe"

// Item returns the directory of the named item. If it is missing, was made by another recipe, or is to be refreshed,
// build fills an empty directory that then takes its place at once. Another process building the same item is waited for.
func (c *Cache) Item(ctx context.Context, name, recipe string, build func(ctx context.Context, dir string) error) (string, error) {
	final := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return "", err
	}
	unlock, err := c.lock(ctx, final+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()

	c.mu.Lock()
	renew := c.refresh && !c.fresh[name]
	c.mu.Unlock()
	if have, err := os.ReadFile(filepath.Join(final, stampFile)); err == nil && string(have) == recipe && !renew {
		return final, nil
	}

	// The lock is held: whatever lies here was left by a process that died.
	tmp, old := final+".new", final+".old"
	for _, left := range []string{tmp, old} {
		if err := os.RemoveAll(left); err != nil {
			return "", err
		}
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	start := time.Now()
	if err := build(ctx, tmp); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(tmp, stampFile), []byte(recipe), 0o644); err != nil {
		return "", err
	}
	if err := os.Rename(final, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.Rename(tmp, final); err != nil {
		return "", err
	}
	c.say("%s: ready after %.1f s", name, time.Since(start).Seconds())
	c.mu.Lock()
	c.fresh[name] = true
	c.mu.Unlock()
	return final, os.RemoveAll(old)
}

// lock takes the lock file for this process, waiting as long as ctx allows.
func (c *Cache) lock(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for told := false; ; told = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", name, err)
		}
		if !told {
			c.say("%s: is being fetched; waiting", strings.TrimSuffix(filepath.Base(name), ".lock"))
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (c *Cache) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.log, "fetch: "+format+"\n", args...)
}

// watch tells every few seconds how much has arrived in dir, until stop is called.
func (c *Cache) watch(what, dir string) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Second):
				c.say("%s: %d MB so far", what, size(dir)>>20)
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

func size(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}
