package workload

import (
	"io"
	"path/filepath"
	"testing"
	"time"
)

func TestOpenFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a/b")
	if err := MakeFiles(dir); err != nil {
		t.Fatal(err)
	}
	c, err := StartCaller()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}()
	// More opens than the caller may have descriptors, if it did not close them.
	fast, err := c.OpenFiles(dir, 2, 2000, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range fast {
		if s.Calls != 2000 || s.Wall <= 0 || s.CPU <= 0 {
			t.Errorf("a slice of nothing: %+v", s)
		}
	}
	const pace = 100 * time.Microsecond
	begin := time.Now()
	paced, err := c.OpenFiles(dir, 2, 50, pace)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 98*pace {
		t.Errorf("opens at a pace took %v", took)
	}
	for _, s := range paced {
		if s.Calls != 50 || s.Wall <= 0 {
			t.Errorf("a slice of nothing: %+v", s)
		}
	}
	for _, dir := range []string{"relative", filepath.Join(dir, "none")} {
		if _, err := c.OpenFiles(dir, 1, 1, 0); err == nil {
			t.Errorf("%s: opening what is not there is no error", dir)
		}
	}
}

func TestSpinners(t *testing.T) {
	s, err := StartSpinners(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	in, out := io.Pipe()
	done := make(chan error)
	go func() { done <- spin(in) }()
	select {
	case <-done:
		t.Error("it ended by itself")
	case <-time.After(10 * time.Millisecond):
	}
	out.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
